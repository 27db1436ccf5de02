"""The exact front of an additive problem, or one within a proven distance of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.errors import InfeasibleError, ProblemError
from evo_qnas.pareto.fronts import front_mask
from evo_qnas.pareto.lattice import Lattice, lattice
from evo_qnas.pareto.merging import CapacityExceeded, Merger, Node, NoFeasible, traced
from evo_qnas.pareto.planning import close_node, cut_dimensions, exact_node
from evo_qnas.pareto.reach import require_feasible
from evo_qnas.pareto.single import smallest_sum
from evo_qnas.problem import Problem
from evo_qnas.spaces import ROUNDING, Additive

# Networks decoded and evaluated at once. Chosen, not measured.
_BATCH = 1 << 16
# Attempts below sums that rounding alone puts on the wrong side of a limit; the last one is strict.
_TIGHTENINGS = 8
# The first error tried where the exact front has too many points; doubled until it suffices.
_FIRST_SHARE = 0.001
# Where the range over the front turns out smaller than assumed, the next attempt assumes a little less still.
_SHRINK = 0.95


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExactFront:
    """The front of an additive problem, or one within a proven distance of it.

    Attributes:
        genomes: (n, blocks) int64, one network per point, sorted by the first objective, then the next ones.
        objectives: (n, m) float64, as `Problem.evaluate` gives them.
        guarantee: (m,) float64 in the objectives' units, zeros where the front is exact; else each feasible network `x`
            has a returned one `r` with `r <= x + guarantee` in every objective.
    """

    genomes: Int[np.ndarray, "n blocks"]
    objectives: Float[np.ndarray, "n m"]
    guarantee: Float[np.ndarray, " m"]

    @property
    def exact(self) -> bool:
        """True where no point of the true front is missing."""
        return not self.guarantee.any()

    @property
    def share(self) -> float:
        """The guarantee as a share of the objectives' ranges over the front, the largest over the objectives."""
        ranges = np.ptp(self.objectives, axis=0)
        return float(max((g / r if r else np.inf) if g else 0.0 for g, r in zip(self.guarantee, ranges, strict=True)))

    def __str__(self) -> str:
        if self.exact:
            return f"{len(self.genomes):,} points, exact"
        return f"{len(self.genomes):,} points, none of the true front further than {self.share:.2%} of each range"


def exact_front(problem: Problem, *, max_points: int = 2_000_000, guarantee: float | None = None) -> ExactFront:
    """The true front of a problem whose objectives and limits are all additive.

    Each gene's dominated options are dropped, genes are merged one after another, and of the sums only those stay that
    no other beats in all objectives and open limits. Sums are whole numbers (see `lattice`), so neither the order of
    merging nor rounding decides. Of networks with equal objectives one is returned, always the same one. A single
    objective under limits is answered by integer programming.

    Where the exact front outgrows `max_points`, the front of a tree of thinned parts is returned, with `guarantee`
    saying how far it is from the true one: nothing is left out silently.

    Args:
        problem: any problem with an additive form.
        max_points: bounds the memory: most points of any front, final or of part of the genes (about 200 bytes each).
        guarantee: None for the exact front; else the largest error allowed, as a share of each objective's range over
            the front returned, 0.03 for 3 %. The result may be exact all the same where that is cheap, and its own
            guarantee is the one that holds: where `max_points` does not suffice, it is larger than asked for.

    Raises:
        ProblemError: an objective or limit is no sum over the blocks, an argument is out of range, or every objective
            has a limit, so that nothing can be thinned, and the front outgrows `max_points`.
        InfeasibleError: no network meets the limits; the text names the limit and the smallest reachable value.

    Source: Deb 2001 (dominance); merging by dynamic programming is Nemhauser and Ullmann 1969 in several dimensions.

    Example:
        >>> from evo_qnas.tables import Tables
        >>> from evo_qnas.problem import TableProblem
        >>> tables = Tables.from_arrays({"score": [np.array([3.0, 1.0])] * 2, "size_bytes": [np.array([1.0, 4.0])] * 2})
        >>> exact_front(TableProblem(tables, objectives=["score", "size_bytes"])).objectives.tolist()
        [[2.0, 8.0], [4.0, 5.0], [6.0, 2.0]]
    """
    additive = _additive(problem)
    if max_points < 1 or (guarantee is not None and not 0.0 < guarantee < 1.0):
        raise ProblemError(f"max_points >= 1 and 0 < guarantee < 1 are needed, got {max_points} and {guarantee}")
    try:
        return _front(problem, additive, max_points, list(_attempts(guarantee)))
    except CapacityExceeded:
        raise ProblemError(f"the front outgrows max_points={max_points:,}, whatever the error: raise it") from None


def true_front(problem: Problem, *, max_points: int) -> ExactFront | None:
    """The exact front, None where it, or one on the way to it, has more than `max_points` points.

    Raises:
        ProblemError: an objective or limit is no sum over the blocks.
        InfeasibleError: no network meets the limits.
    """
    try:
        return _front(problem, _additive(problem), max_points, [None])
    except CapacityExceeded:
        return None


def _additive(problem: Problem) -> Additive:
    """The additive form, or an error."""
    additive = problem.additive
    if additive is None:
        raise ProblemError("the exact front needs objectives and limits that are sums over blocks: search instead")
    return additive


def _front(problem: Problem, additive: Additive, max_points: int, attempts: Sequence[float | None]) -> ExactFront:
    """The front by the first attempt that does not outgrow the memory."""
    whole, answers = lattice(additive, slack=ROUNDING), []
    for left in range(_TIGHTENINGS, -1, -1):
        answer = _answer(problem, whole, max_points, attempts)
        answers.append(answer)
        if not len(answer.missed):
            break
        # Sums that rounding alone puts on the wrong side of a limit may have kept others away: ask again below them.
        whole = _tightened(whole, answer) if left > 1 else lattice(additive, slack=-ROUNDING)
    genomes = np.concatenate([part.genomes for part in answers])
    objectives = np.concatenate([part.objectives for part in answers])
    if not len(genomes):
        require_feasible(additive)
        raise InfeasibleError(f"no network meets {', '.join(additive.limit_names)}")
    best = np.flatnonzero(front_mask(objectives))
    best = best[np.lexsort(objectives[best].T[::-1])]
    return ExactFront(
        genomes=genomes[best], objectives=objectives[best], guarantee=np.max([part.error for part in answers], axis=0)
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """Feasible genomes, their objectives, the error, and gene values that miss a limit by rounding alone."""

    genomes: Int[np.ndarray, "n blocks"]
    objectives: Float[np.ndarray, "n m"]
    error: Float[np.ndarray, " m"]
    missed: Int[np.ndarray, "missed genes"]
    missed_limits: Bool[np.ndarray, "missed k"]


def _answer(problem: Problem, whole: Lattice, max_points: int, attempts: Sequence[float | None]) -> _Answer:
    """The best networks in whole numbers, checked against `Problem.evaluate`."""
    error = np.zeros(whole.m)
    if whole.m == 1:
        genes = smallest_sum(whole)
    else:
        node = _node(whole, max_points, attempts)
        if node is None:
            genes = np.empty((0, len(whole.options)), dtype=np.int64)
        else:
            error = (node.error * whole.steps)[: whole.m]
            genes = traced(node, whole)
    genomes, objectives, met = [], [], []
    for start in range(0, max(len(genes), 1), _BATCH):
        genomes.append(problem.space.decode(genes[start : start + _BATCH]))
        values, excess = problem.evaluate(genomes[-1])
        objectives.append(values)
        met.append(excess <= 0.0)
    limits = np.concatenate(met)
    keep = limits.all(axis=1)
    return _Answer(
        genomes=np.concatenate(genomes)[keep],
        objectives=np.concatenate(objectives)[keep],
        error=error,
        missed=genes[~keep],
        missed_limits=~limits[~keep],
    )


def _tightened(whole: Lattice, answer: _Answer) -> Lattice:
    """The lattice with each limit that was missed just below the smallest sum that missed it."""
    limits = []
    for (dimension, bound), position in zip(whole.limits, whole.positions, strict=True):
        rows = answer.missed[answer.missed_limits[:, position]]
        sums = [whole.sum_of(row, dimension) for row in rows]
        limits.append((dimension, min([bound, *(value - 1.0 for value in sums)])))
    return replace(whole, limits=tuple(limits))


def _node(whole: Lattice, max_points: int, attempts: Sequence[float | None]) -> Node | None:
    """The merged front, None where no sum meets the limits."""
    merger = Merger(whole)
    for attempt in attempts:
        try:
            leaves = [merger.leaf(gene) for gene in range(len(whole.options))]
            if attempt is None:
                return exact_node(merger, leaves, most=max_points)
            return _thin_node(merger, leaves, attempt, max_points)
        except CapacityExceeded:
            continue
        except NoFeasible:
            return None
    raise CapacityExceeded


def _thin_node(merger: Merger, leaves: list[Node], share: float, max_points: int) -> Node:
    """A node whose error is at most `share` of each objective's range over the node."""
    whole = merger.lattice
    cut = np.zeros(len(whole.steps), dtype=bool)
    cut[cut_dimensions(whole)] = True
    if not cut.any():
        raise CapacityExceeded
    # Without limits the best point of each objective is known, and with them the range over the front.
    corners = sum(
        leaf.values[:, [np.lexsort(np.roll(leaf.values, -d - 1, axis=0))[0] for d in range(whole.m)]] for leaf in leaves
    )
    ranges = np.ptp(corners, axis=1)
    while True:
        node = close_node(merger, leaves, allowed=np.where(cut, share * ranges, 0.0), most=max_points)
        actual = np.ptp(node.values, axis=1)
        if (node.error <= share * actual).all():
            return node
        ranges = _SHRINK * np.minimum(ranges, actual)


def _attempts(share: float | None) -> Iterator[float | None]:
    """Shares of the range to try one after another; None is the exact front."""
    if share is not None:
        yield share
    yield None
    larger = _FIRST_SHARE if share is None else 2.0 * share
    while larger < 1.0:
        yield larger
        larger *= 2.0
