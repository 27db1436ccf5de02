"""Search with few evaluations: predictors are fitted to what was measured, and choose what to measure next."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from evo_qnas.pareto import nondominated
from evo_qnas.predict import Features, Gaussian, Predictor
from evo_qnas.predict.kernels import MENUS, Weights
from evo_qnas.problem import Problem, TableProblem
from evo_qnas.search.improvement import best_batch, promising
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.ranking import constrained_ranks, crowding
from evo_qnas.search.seen import Seen
from evo_qnas.search.variation import Variation
from evo_qnas.spaces import Space

_BATCHES = 5
_GROWTH = 10
_LEAST = 8
_MOST_ROWS = 600
_RECHOOSE = 1.25
_ENUMERATED = 20_000
_GENERATIONS = 25
_INNER = 100
_MARGINAL_DRAWS = 32
_JOINT_DRAWS = 16
_SHORT_LIST = {True: 100, False: 300}
_DIGITS = 9


@final
@dataclass(frozen=True, kw_only=True)
class Known:
    """What a problem says of networks without evaluating them.

    Attributes:
        problem: the problem.
        space: what gene values mean.
    """

    problem: Problem
    space: Space

    def values(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives (minimised) and excesses over limits, NaN where only an evaluation tells."""
        problem, genomes = self.problem, self.space.decode(genes)
        if isinstance(problem, TableProblem):
            return problem.known(genomes)
        if problem.additive is not None:
            return problem.additive.sums(problem.space.encode(genomes))
        return np.full((len(genes), len(problem.objectives)), np.nan), np.full(
            (len(genes), len(problem.constraints)), np.nan
        )

    @cached_property
    def _example(self) -> tuple[np.ndarray, np.ndarray]:
        return self.values(np.zeros((1, len(self.space.genes)), dtype=np.int64))

    @property
    def objectives(self) -> Bool[np.ndarray, " m"]:
        """(m,) which objectives are known."""
        found: np.ndarray = np.isfinite(self._example[0][0])
        return found

    @property
    def all_limits(self) -> bool:
        """Whether every limit is known."""
        return bool(np.isfinite(self._example[1]).all())


@final
@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is foretold of all objectives, and of the limits.

    Attributes:
        known: what needs no forecast.
        models: per objective the predictor; None where it is known.
        limits: foretells -1 for networks within the unknown limits and 1 for others; None where nothing is unknown.
    """

    known: Known
    models: tuple[Predictor | None, ...]
    limits: Predictor | None

    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool
    ) -> Float[np.ndarray, "count n m"]:
        """What the objectives of networks may be; known ones are the same in every draw."""
        values = np.tile(self.known.values(genes)[0], (count, 1, 1))
        for column, model in enumerate(self.models):
            if model is not None:
                values[:, :, column] = model.draws(rng, genes, count, joint=joint)
        return values

    def hopeful(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, " n"]]:
        """Objectives at one standard deviation to the good, and the violation of limits, 0 where all may be met."""
        values, excess = self.known.values(genes)
        for column, model in enumerate(self.models):
            if model is not None:
                middle, spread = model.predict(genes)
                values[:, column] = middle - spread
        violation = np.maximum(np.nan_to_num(excess), 0.0).sum(axis=1)
        return values, violation + np.maximum(0.5 - self.chance(genes), 0.0)

    def chance(self, genes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
        """(n,) 0..1: the chance of meeting all limits; 0 or 1 where they are known."""
        excess = self.known.values(genes)[1]
        sure: np.ndarray = (np.nan_to_num(excess) <= 0).all(axis=1).astype(np.float64)
        if self.limits is None:
            return sure
        middle, spread = self.limits.predict(genes)
        found: np.ndarray = sure * norm.cdf(-middle / np.maximum(spread, 1e-12))
        return found


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
        self._variation = variation
        self._known = Known(problem=problem, space=self._space)
        self._features = Features.of_problem(problem, self._space)
        self._batch = max(1, population // _BATCHES)
        self._rng = rng
        self._seen = Seen(self._space)
        self._start = self._first(seeds, max(_LEAST, 2 * self._batch))
        self._genes = seeds[:0]
        self._objectives = np.empty((0, 0))
        self._violation = np.empty(0)
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
        size = max(self._batch, len(self._genes) // _GROWTH)
        sound = np.isfinite(self._objectives).all(axis=1) & np.isfinite(self._violation)
        if sound.sum() < _LEAST:
            return self._seen.random(self._rng, size)
        forecast = self._forecast(sound)
        feasible = sound & (self._violation <= 0)
        front = self._objectives[feasible]
        front = front[nondominated(front)]
        candidates = self._candidates(forecast, sound)
        found: np.ndarray = candidates[self._picked(forecast, front, candidates, size)]
        return found

    def _forecast(self, sound: Bool[np.ndarray, " n"]) -> Forecast:
        """Predictors of what is unknown, fitted to what was told."""
        rows = self._rows(np.flatnonzero(sound))
        models = tuple(
            None if known else self._model(column, self._genes[rows], self._objectives[rows, column])
            for column, known in enumerate(self._known.objectives)
        )
        limits = None
        if not self._known.all_limits:
            excess = self._known.values(self._genes[rows])[1]
            told = rows[(np.nan_to_num(excess) <= 0).all(axis=1)]
            labels = np.where(self._violation[told] <= 0, -1.0, 1.0)
            if np.ptp(labels) > 0:
                limits = Gaussian.fit(self._features, self._genes[told], labels, warped=False)
        return Forecast(known=self._known, models=models, limits=limits)

    def _rows(self, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
        """The rows to learn from: all, or the best half and others spread evenly where there are many."""
        if len(rows) <= _MOST_ROWS:
            return rows
        ranks = constrained_ranks(self._objectives[rows], self._violation[rows])
        order = rows[np.argsort(ranks, kind="stable")]
        half = _MOST_ROWS // 2
        others = order[half:][np.linspace(0, len(order) - half - 1, half).round().astype(np.int64)]
        return np.sort(np.concatenate([order[:half], others]))

    def _model(self, column: int, genes: Int[np.ndarray, "n genes"], values: Float[np.ndarray, " n"]) -> Predictor:
        """A Gaussian process of one objective; its kernel is chosen again when a quarter more was measured."""
        told, weights = self._kernels.get(column, (0, {}))
        again = len(self._genes) >= _RECHOOSE * told
        model = Gaussian.fit(self._features, genes, values, kernels=MENUS["kernel"] if again else (weights,))
        if again:
            self._kernels[column] = len(self._genes), model.weights
        return model

    def _candidates(self, forecast: Forecast, sound: Bool[np.ndarray, " n"]) -> Int[np.ndarray, "c genes"]:
        """Networks not met yet: all of a small space, else what NSGA-II meets on hopeful values."""
        if self._space.size <= _ENUMERATED:
            return self._seen.unmet(self._every)
        ranks = constrained_ranks(self._objectives[sound], self._violation[sound])
        inner = NSGA2(
            self._variation, population=_INNER, rng=self._rng, seeds=self._genes[sound][ranks == 0][: 2 * _INNER]
        )
        met = []
        for _ in range(_GENERATIONS):
            genes = inner.ask()
            if not len(genes):
                break
            inner.tell(genes, *forecast.hopeful(genes))
            met.append(genes)
        return self._seen.unmet(np.concatenate(met))

    @cached_property
    def _every(self) -> Int[np.ndarray, "size genes"]:
        """All gene values of a small space."""
        if not len(self._space.genes):
            return np.zeros((1, 0), dtype=np.int64)
        places = np.unravel_index(np.arange(self._space.size), tuple(self._space.counts))
        return np.stack(places, axis=1).astype(np.int64)

    def _picked(
        self, forecast: Forecast, front: Float[np.ndarray, "f m"], candidates: Int[np.ndarray, "c genes"], size: int
    ) -> Int[np.ndarray, " picked"]:
        """The batch among the candidates; those that may still be worth something fill it up."""
        if not len(candidates):
            return np.zeros(0, dtype=np.int64)
        chance = forecast.chance(candidates)
        draws = forecast.draws(self._rng, candidates, _MARGINAL_DRAWS, joint=False)
        gains = np.round(promising(front, draws, chance), _DIGITS)
        order = np.argsort(-gains, kind="stable")[: max(_SHORT_LIST[front.shape[1] > 2], 2 * size)]
        short = order[gains[order] > 0]
        picked = short[:0]
        if len(short):
            joint = forecast.draws(self._rng, candidates[short], _JOINT_DRAWS, joint=True)
            picked = short[best_batch(front, joint, chance[short], size)]
        if len(picked) < size:
            picked = np.concatenate([picked, self._fill(forecast, candidates, picked, size - len(picked))])
        return picked

    def _fill(
        self, forecast: Forecast, candidates: Int[np.ndarray, "c genes"], picked: Int[np.ndarray, " p"], size: int
    ) -> Int[np.ndarray, " filled"]:
        """Candidates whose hopeful values are the least dominated, the most apart first."""
        left = np.setdiff1d(np.arange(len(candidates)), picked)
        values, violation = forecast.hopeful(candidates[left])
        ranks = constrained_ranks(values, violation)
        apart = crowding(np.where(np.isfinite(values), values, 0.0), ranks)
        return left[np.lexsort((-np.round(apart, _DIGITS), ranks))[:size]]

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Keeps everything."""
        self._seen.add(genes)
        if len(self._genes):
            genes = np.concatenate([self._genes, genes])
            objectives = np.concatenate([self._objectives, objectives])
            violation = np.concatenate([self._violation, violation])
        self._genes, self._objectives, self._violation = genes, objectives, violation
