"""Search with few evaluations: predictors fitted to the measured networks choose the next ones."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import nondominated
from evo_qnas.predict import Features, Gaussian, Predictor
from evo_qnas.predict.kernels import MENUS, Weights
from evo_qnas.problem import Problem
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.search.forecast import Forecast, Known
from evo_qnas.search.population import Population
from evo_qnas.search.proposals import Proposals
from evo_qnas.search.ranking import constrained_ranks
from evo_qnas.search.variation import Variation
from evo_qnas.search.visited import Visited


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateTuning:
    """Numbers of `Surrogate`; chosen, not measured one by one.

    `benchmarks/nas_bench_macro.py --surrogate` measures the whole.

    Attributes:
        batches: batches that make up a population.
        growth: a batch is at least one network for so many measured ones.
        least: fewest measured networks that predictors are fitted to, and that the first batch holds.
        most_rows: most networks that predictors are fitted to, whose time grows with the cube.
        rechoose: a kernel is chosen again when so many times the networks were measured.
    """

    batches: int = 5
    growth: int = 10
    least: int = 8
    most_rows: int = 600
    rechoose: float = 1.25


_TUNING = SurrogateTuning()


@final
class Surrogate(Optimizer):
    """Batches of expected hypervolume improvement over Gaussian processes of the objectives that are not known.

    A first batch of seeds and random networks is measured, two fifths of the population. Then, again and again, one
    Gaussian process per unknown objective is fitted to all measured networks (its kernel, scale and shrinkage by
    the density of what is left out), the space is searched for networks that may lie on the front (all of it where it
    is small, by NSGA-II on confidence bounds elsewhere), and the batch that is expected to add the most hypervolume is
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
        self._batch = max(1, population // _TUNING.batches)
        self._rng = rng
        self._visited = Visited(self._space)
        self._proposals = Proposals(variation, self._visited, rng)
        self._start = self._first(seeds, max(_TUNING.least, 2 * self._batch))
        self._measured = Population.empty(seeds)
        self._kernels: dict[int, tuple[int, Weights]] = {}

    def _first(self, seeds: Int[np.ndarray, "s genes"], size: int) -> Int[np.ndarray, "n genes"]:
        """Seeds, spread evenly over all of them, and as many random networks at least."""
        seeds = self._visited.filter_new(seeds)
        few = seeds[np.unique(np.linspace(0, len(seeds) - 1, min(size // 2, len(seeds))).round().astype(np.int64))]
        return self._visited.filter_new(np.concatenate([few, self._visited.random(self._rng, size)]))[:size]

    @property
    def takes_others(self) -> bool:
        """True: whatever was evaluated is of use."""
        return True

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The first batch, then the most promising ones; none when the space is exhausted."""
        if len(self._start):
            start, self._start = self._start, self._start[:0]
            return start
        size = max(self._batch, len(self._measured) // _TUNING.growth)
        evaluated = self._measured.chosen(self._measured.evaluated)
        if len(evaluated) < _TUNING.least:
            return self._visited.random(self._rng, size)
        forecast = self._forecast(evaluated)
        front = evaluated.objectives[evaluated.violation <= 0]
        front = front[nondominated(front)]
        ranks = constrained_ranks(evaluated.objectives, evaluated.violation)
        candidates = self._proposals.candidates(forecast, evaluated.genes[ranks == 0])
        batch: np.ndarray = candidates[self._proposals.pick(forecast, front, candidates, size)]
        return batch

    def _forecast(self, evaluated: Population) -> Forecast:
        """Predictors of the unknown objectives and limits, fitted to the evaluated networks."""
        training = evaluated.chosen(_training_rows(evaluated))
        models = tuple(
            None if known else self._model(column, training.genes, training.objectives[:, column].copy())
            for column, known in enumerate(self._known.objectives)
        )
        limits = None
        if not self._known.all_limits:
            excess = self._known.values(training.genes)[1]
            within = training.chosen((np.nan_to_num(excess) <= 0).all(axis=1))
            labels = np.where(within.violation <= 0, -1.0, 1.0)
            if np.ptp(labels) > 0:
                limits = Gaussian.fit(self._features, within.genes, labels, warped=False)
        return Forecast(known=self._known, models=models, limits=limits)

    def _model(self, column: int, genes: Int[np.ndarray, "n genes"], values: Float[np.ndarray, " n"]) -> Predictor:
        """A Gaussian process of one objective; its kernel is chosen again when a quarter more was measured."""
        fitted, weights = self._kernels.get(column, (0, {}))
        again = len(self._measured) >= _TUNING.rechoose * fitted
        model = Gaussian.fit(self._features, genes, values, kernels=MENUS["kernel"] if again else (weights,))
        if again:
            self._kernels[column] = len(self._measured), model.weights
        return model

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Keeps everything."""
        self._visited.add(genes)
        self._measured = self._measured.joined(genes, objectives, violation)


def _training_rows(evaluated: Population) -> Int[np.ndarray, " k"]:
    """The rows to learn from: all, or the best half and others spread evenly where there are many."""
    if len(evaluated) <= _TUNING.most_rows:
        return np.arange(len(evaluated))
    order = np.argsort(constrained_ranks(evaluated.objectives, evaluated.violation), kind="stable")
    half = _TUNING.most_rows // 2
    others = order[half:][np.linspace(0, len(order) - half - 1, half).round().astype(np.int64)]
    return np.sort(np.concatenate([order[:half], others]))


@final
class SurrogateAlgorithm(Algorithm):
    """`surrogate`: for budgets of hundreds of evaluations."""

    about = "expected hypervolume improvement over Gaussian processes, for objectives that take long"

    def make(self, context: SearchContext) -> Surrogate:
        """The optimizer; objectives and limits that the problem's tables know are not modelled."""
        return Surrogate(
            context.problem,
            context.variation,
            population=context.population,
            rng=context.rng,
            seeds=context.seeds().astype(np.int64),
        )
