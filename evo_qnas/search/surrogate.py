"""Search with few evaluations: predictors are fitted to what was measured, and choose what to measure next."""

from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import nondominated
from evo_qnas.predict import Features, Gaussian, Predictor
from evo_qnas.predict.kernels import MENUS, Weights
from evo_qnas.problem import Problem
from evo_qnas.search.forecast import Forecast, Known
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.proposals import Proposals
from evo_qnas.search.ranking import constrained_ranks
from evo_qnas.search.seen import Seen
from evo_qnas.search.told import Told
from evo_qnas.search.variation import Variation

_BATCHES = 5
_GROWTH = 10
_LEAST = 8
_MOST_ROWS = 600
_RECHOOSE = 1.25


@final
class Surrogate(Optimizer):
    """Batches of expected hypervolume improvement over Gaussian processes of the objectives that are not known.

    A first batch of seeds and random networks is measured, two fifths of the population. Then, again and again, one
    Gaussian process per unknown objective is fitted to all that was told (its kernel, scale and shrinkage by
    the density of what is left out), the space is searched for networks that may lie on the front (all of it where it
    is small, by NSGA-II on hopeful values elsewhere), and the batch that is expected to add the most hypervolume is
    asked for. A batch is a fifth of the population, or a tenth of what was measured where that is more.

    Objectives and limits of table columns are known exactly and not modelled. Of functions, whether a limit is met is
    modelled as a chance.

    Source: Knowles 2006 (ParEGO) and Emmerich et al. 2006 for the idea; `best_batch` for the batches.
    """

    def __init__(
        self,
        problem: Problem,
        variation: Variation,
        *,
        population: int,
        rng: np.random.Generator,
        seeds: Int[np.ndarray, "s genes"],
    ) -> None:
        self._space = variation.space
        self._known = Known(problem=problem, space=self._space)
        self._features = Features.of_problem(problem, self._space)
        self._batch = max(1, population // _BATCHES)
        self._rng = rng
        self._seen = Seen(self._space)
        self._proposals = Proposals(variation, self._seen, rng)
        self._start = self._first(seeds, max(_LEAST, 2 * self._batch))
        self._told = Told.nothing(seeds)
        self._kernels: dict[int, tuple[int, Weights]] = {}

    def _first(self, seeds: Int[np.ndarray, "s genes"], size: int) -> Int[np.ndarray, "n genes"]:
        """Seeds, spread evenly over all of them, and as many random networks at least."""
        seeds = self._seen.unmet(seeds)
        few = seeds[np.unique(np.linspace(0, len(seeds) - 1, min(size // 2, len(seeds))).round().astype(np.int64))]
        return self._seen.unmet(np.concatenate([few, self._seen.random(self._rng, size)]))[:size]

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The first batch, then the most promising ones; none when the space is exhausted."""
        if len(self._start):
            start, self._start = self._start, self._start[:0]
            return start
        size = max(self._batch, len(self._told) // _GROWTH)
        sound = self._told.chosen(self._told.sound)
        if len(sound) < _LEAST:
            return self._seen.random(self._rng, size)
        forecast = self._forecast(sound)
        front = sound.objectives[sound.violation <= 0]
        front = front[nondominated(front)]
        ranks = constrained_ranks(sound.objectives, sound.violation)
        candidates = self._proposals.candidates(forecast, sound.genes[ranks == 0])
        found: np.ndarray = candidates[self._proposals.pick(forecast, front, candidates, size)]
        return found

    def _forecast(self, sound: Told) -> Forecast:
        """Predictors of what is unknown, fitted to what was told."""
        learnt = sound.chosen(_learnt(sound))
        models = tuple(
            None if known else self._model(column, learnt.genes, learnt.objectives[:, column].copy())
            for column, known in enumerate(self._known.objectives)
        )
        limits = None
        if not self._known.all_limits:
            excess = self._known.values(learnt.genes)[1]
            told = learnt.chosen((np.nan_to_num(excess) <= 0).all(axis=1))
            labels = np.where(told.violation <= 0, -1.0, 1.0)
            if np.ptp(labels) > 0:
                limits = Gaussian.fit(self._features, told.genes, labels, warped=False)
        return Forecast(known=self._known, models=models, limits=limits)

    def _model(self, column: int, genes: Int[np.ndarray, "n genes"], values: Float[np.ndarray, " n"]) -> Predictor:
        """A Gaussian process of one objective; its kernel is chosen again when a quarter more was measured."""
        told, weights = self._kernels.get(column, (0, {}))
        again = len(self._told) >= _RECHOOSE * told
        model = Gaussian.fit(self._features, genes, values, kernels=MENUS["kernel"] if again else (weights,))
        if again:
            self._kernels[column] = len(self._told), model.weights
        return model

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Keeps everything."""
        self._seen.add(genes)
        self._told = self._told.joined(genes, objectives, violation)


def _learnt(told: Told) -> Int[np.ndarray, " k"]:
    """The rows to learn from: all, or the best half and others spread evenly where there are many."""
    if len(told) <= _MOST_ROWS:
        return np.arange(len(told))
    order = np.argsort(constrained_ranks(told.objectives, told.violation), kind="stable")
    half = _MOST_ROWS // 2
    others = order[half:][np.linspace(0, len(order) - half - 1, half).round().astype(np.int64)]
    return np.sort(np.concatenate([order[:half], others]))
