"""The worth of single options, learnt from the networks evaluated so far: a linear surrogate of black boxes."""

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy
from jaxtyping import Float, Int

from evo_qnas.search.reduction import useful_options
from evo_qnas.search.seeding import near_optima
from evo_qnas.search.sparse_fit import sparse_fit
from evo_qnas.spaces import Additive, Space


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModelTuning:
    """Numbers of `LinearModel`; chosen, not measured one by one: `benchmarks/search_speed.py` measures the whole.

    Attributes:
        largest: most options of a space whose fit is solved exactly, in a time that grows with their cube.
        first: rows of the first fit, as a share of the number of options.
        growth: the model is fitted again when the number of rows grew by this factor.
        ridge: added to the diagonal; far below the counts of rows, so that it only settles options that stand alone.
        exact: error, as a share of an objective's range, up to which a row counts as predicted exactly.
        most_exact: share of the new rows that must be predicted exactly for a fit to be left out.
        sparse_ridge: in place of `ridge` in larger spaces, where many options are seen a few times only.
        sparse_first: in place of `first` in larger spaces: from so few rows drawn at random on, the optima of a fit
            are better than what breeding finds.
        sparse_growth: in place of `growth` in larger spaces.
        sparse_few: steps of conjugate gradients of a fit in larger spaces, from the last fit on, while there are fewer
            rows than options: more would fit what is not determined yet.
        sparse_steps: most steps from then on.
        sparse_work: rows times genes times steps that such a fit may take: about half a second.
        explored: rows for each option up to which a larger space is explored by networks drawn at random, of which a
            fit learns more than of networks that are alike.
        judged: rows for each option from which on exploring ends where a fit does not predict.
        least_explained: share of the variance of new rows that it must predict by then.
        sparse_near: children for each random weight that are picked in larger spaces, of 16 that are made.
        sparse_weights: least random weights there.
        sparse_tolerance: residual, as a share of the first, that ends a fit in larger spaces earlier.
        sparse_cells: most rows times genes that a fit in a larger space goes through: the newest.
        digit: worths are rounded to this share of the largest.
        spread: standard deviation of the logarithms of the random weights.
    """

    largest: int = 1200
    first: float = 0.5
    growth: float = 2.0
    ridge: float = 1e-6
    exact: float = 1e-5
    most_exact: float = 0.9
    sparse_ridge: float = 0.1
    sparse_first: float = 0.15
    sparse_growth: float = 1.6
    sparse_few: int = 8
    sparse_steps: int = 30
    sparse_work: int = 80_000_000
    explored: float = 1.6
    judged: float = 0.8
    least_explained: float = 0.3
    sparse_near: int = 8
    sparse_weights: int = 16
    sparse_tolerance: float = 1e-7
    sparse_cells: int = 20_000_000
    digit: float = 1e-8
    spread: float = 2.5


_TUNING = LinearModelTuning()
# Rounds of iterative refinement. Chosen, not measured.
_REFINEMENTS = 4
# One-hot rows are counted cell by cell where less than one cell in so many is set, else by a matrix product.
_SPARSE = 8
# Numbers held at once while rows are counted: 32 MB.
_CHUNK = 4_000_000


@final
class LinearModel:
    """Each objective as a mean plus one number per gene and option, by ridge regression on all evaluations.

    On sums it is exact once every option was evaluated in enough networks, elsewhere it is an average over the rest of
    the network. It is fitted again each time that the number of rows has doubled, and rests while
    it predicts new rows exactly. A fit solves one system of as many unknowns as there are options; beyond 1,200 options
    it goes some steps towards its solution instead, from the last one on (`sparse_fit`), and some networks are drawn at
    random (`explores`): a fit of few rows that differ in all options predicts better optima than breeding finds.

    Source: Box & Wilson 1951 (response surfaces of first order); Molchanov et al. 2021 (LANA: additive scores of
    layers suffice to rank networks). What differs: the contributions are regressed on whole networks.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._starts = np.concatenate([[0], np.cumsum(space.counts)[:-1]]).astype(np.int64)
        self._unknowns = int(space.counts.sum())
        self._genes: list[np.ndarray] = []
        self._objectives: list[np.ndarray] = []
        self._kept: tuple[np.ndarray, np.ndarray] | None = None
        self._worth = np.empty((0, 0))
        self._gram: np.ndarray | None = None
        self._rows = 0
        self._new = 0
        self._large = self._unknowns > _TUNING.largest
        self._next = (_TUNING.sparse_first if self._large else _TUNING.first) * self._unknowns
        self._explained = 1.0
        self._moment = np.empty((0, 0))
        self._offset = np.empty(0)
        self._useful: list[np.ndarray] = []
        self._span = np.empty(0)
        self._additive: Additive | None = None

    @property
    def additive(self) -> Additive | None:
        """The objectives as sums; None before the first fit."""
        return self._additive

    @property
    def explores(self) -> bool:
        """True where networks drawn at random are worth their evaluation."""
        each = (self._rows + self._new) / self._unknowns
        predicts = each < _TUNING.judged or self._explained >= _TUNING.least_explained
        return self._large and each < _TUNING.explored and predicts

    def add(self, genes: Int[np.ndarray, "n genes"], objectives: Float[np.ndarray, "n m"]) -> None:
        """Takes rows in, leaves out those with an objective that is no number, and fits where it is time to."""
        sound = np.isfinite(objectives).all(axis=1)
        if not sound.any():
            return
        self._genes.append(genes[sound])
        self._objectives.append(objectives[sound])
        self._new += int(sound.sum())
        if self._rows + self._new >= self._next:
            self._refit(np.concatenate(self._genes), np.concatenate(self._objectives))
            self._genes, self._objectives, self._new = [], [], 0
            self._next = (_TUNING.sparse_growth if self._large else _TUNING.growth) * self._rows

    def _refit(self, genes: Int[np.ndarray, "n genes"], objectives: Float[np.ndarray, "n m"]) -> None:
        """Fits to the new rows as well, unless nearly all of them are predicted exactly."""
        self._rows += len(genes)
        if self._additive is not None:
            apart = np.abs(self._additive.sums(genes)[0] - objectives)
            spread = objectives.var(axis=0)
            self._explained = 1.0 - float(np.mean(np.mean(apart**2, axis=0) / np.where(spread > 0, spread, np.inf)))
            if (np.quantile(apart, _TUNING.most_exact, axis=0) <= _TUNING.exact * np.ptp(objectives, axis=0)).all():
                return
        worth = self._approached(genes, objectives) if self._large else self._solved(genes, objectives)
        # Options that are worth the same must not be separated by rounding, which depends on the machine.
        largest = np.abs(worth).max(axis=0)
        digit = np.where(largest > 0, largest, 1.0) * _TUNING.digit
        self._additive = Additive(
            space=self._space,
            objectives=tuple(np.split(np.round(worth / digit) * digit, self._starts[1:])),
            offset=self._offset,
            limits=tuple(np.zeros((count, 0)) for count in self._space.counts.tolist()),
            bounds=np.zeros(0),
            limit_names=(),
        )
        self._useful = useful_options(self._additive.objectives)
        self._span = np.sum([np.ptp(values, axis=0) for values in self._additive.objectives], axis=0)

    def _solved(
        self, genes: Int[np.ndarray, "n genes"], objectives: Float[np.ndarray, "n m"]
    ) -> Float[np.ndarray, "unknowns m"]:
        """The worths that fit all rows so far best."""
        if self._gram is None:
            self._gram, self._moment = np.zeros((self._unknowns,) * 2), np.zeros((self._unknowns, objectives.shape[1]))
            self._offset = objectives.mean(axis=0)
        cells = genes + self._starts
        self._gram += pair_counts(cells, self._unknowns)
        for index, column in enumerate((objectives - self._offset).T):
            self._moment[:, index] += np.bincount(
                cells.ravel(), weights=np.repeat(column, cells.shape[1]), minlength=self._unknowns
            )
        return solved(self._gram + _TUNING.ridge * np.eye(self._unknowns), self._moment)

    def _approached(
        self, genes: Int[np.ndarray, "n genes"], objectives: Float[np.ndarray, "n m"]
    ) -> Float[np.ndarray, "unknowns m"]:
        """Worths nearer to those that fit the newest rows best, from those of the last fit on."""
        cells = (genes + self._starts).astype(np.int32)
        if self._kept is not None:
            cells, objectives = (np.concatenate(both) for both in zip(self._kept, (cells, objectives), strict=True))
        newest = slice(-max(1, _TUNING.sparse_cells // cells.shape[1]), None)
        cells, objectives = self._kept = cells[newest], objectives[newest]
        self._offset = objectives.mean(axis=0)
        spread = objectives.std(axis=0)
        spread[spread == 0] = 1.0
        steps = min(_TUNING.sparse_steps, max(1, _TUNING.sparse_work // cells.size))
        if len(cells) < self._unknowns:
            steps = _TUNING.sparse_few
        start = self._worth if len(self._worth) else np.zeros((self._unknowns, len(spread)))
        self._worth = spread * sparse_fit(
            cells,
            (objectives - self._offset) / spread,
            start / spread,
            ridge=_TUNING.sparse_ridge,
            steps=steps,
            tolerance=_TUNING.sparse_tolerance,
        )
        return self._worth

    def children(self, rng: np.random.Generator, n: int) -> Int[np.ndarray, "made genes"]:
        """Optima and near-optima of `n` random positive weights of the objectives; none before the first fit."""
        if self._additive is None:
            return np.empty((0, len(self._starts)), dtype=np.int64)
        if self._large:
            n = min(n, max(_TUNING.sparse_weights, n // _TUNING.sparse_near))
        weights = np.exp(_TUNING.spread * rng.standard_normal((n, len(self._additive.offset))))
        weights /= weights.sum(axis=1, keepdims=True)
        return near_optima(self._additive, self._useful, weights / np.where(self._span > 0, self._span, 1.0))


def solved(matrix: Float[np.ndarray, "n n"], values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """`x` of `matrix @ x = values` to the last digits, whatever the number of threads and version of the library.

    What a library's solver leaves, some digits more where options are hardly distinct, differs between them, and with
    it the course of a search. Residuals in longer numbers take it away (Wilkinson 1963, iterative refinement).

    Args:
        matrix: symmetric, positive definite.
        values: right sides.
    """
    factors = scipy.linalg.cho_factor(matrix)
    long, right = matrix.astype(np.longdouble), values.astype(np.longdouble)
    solution = scipy.linalg.cho_solve(factors, values).astype(np.longdouble)
    for _ in range(_REFINEMENTS):
        solution += scipy.linalg.cho_solve(factors, (right - long @ solution).astype(np.float64))
    refined: np.ndarray = solution.astype(np.float64)
    return refined


def pair_counts(cells: Int[np.ndarray, "n genes"], size: int) -> Float[np.ndarray, "size size"]:
    """Numbers of rows that hold both of each two cells; `(size, size)`, whole numbers.

    Args:
        cells: (n, genes) int64, 0 .. size - 1, distinct within a row.
        size: the number of cells.
    """
    counts = np.zeros((size, size))
    n, genes = cells.shape
    few = genes * _SPARSE <= size
    step = max(1, _CHUNK // (genes * genes if few else size))
    for start in range(0, n, step):
        part = cells[start : start + step]
        if few:
            pairs = part[:, :, None] * size + part[:, None, :]
            counts += np.bincount(pairs.ravel(), minlength=size * size).reshape(size, size)
        else:
            hot = np.zeros((len(part), size), dtype=np.float32)
            hot[np.arange(len(part))[:, None], part] = 1.0
            counts += hot.T @ hot
    return counts
