"""Ranks, crowding and survival under limits, on whole populations."""

import moocore
import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.pareto.fronts import undominated
from evo_qnas.pareto.order import stable_order


def constrained_ranks(
    objectives: Float[np.ndarray, "n m"], violation: Float[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """Non-domination ranks (0 is best) in which every feasible network comes before every other.

    Networks that break a limit follow in the order of their violation; failed ones (violation +inf, or an objective
    that is no number) come last, which moocore's own ranks would put first.

    Source: Deb et al. 2002, definition 1 (constrained domination), with the infeasible fully ordered.

    Example:
        >>> constrained_ranks(np.array([[np.nan, 0.0], [2.0, 2.0], [1.0, 1.0]]), np.zeros(3)).tolist()
        [2, 1, 0]
    """
    good = violation <= 0.0
    if good.all() and np.isfinite(objectives).all():
        ranks: np.ndarray = moocore.pareto_rank(np.ascontiguousarray(objectives)).astype(np.int64)
        return ranks
    sound = np.isfinite(objectives).all(axis=1)
    good &= sound
    ranks = np.zeros(len(objectives), dtype=np.int64)
    top = -1
    if good.any():
        ranks[good] = moocore.pareto_rank(np.ascontiguousarray(objectives[good]))
        top = int(ranks[good].max())
    if not good.all():
        worst = np.where(sound, violation, np.inf)[~good]
        ranks[~good] = top + 1 + np.unique(np.nan_to_num(worst, nan=np.inf), return_inverse=True)[1]
    return ranks


def first_rank(objectives: Float[np.ndarray, "n m"], violation: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """True for networks of rank 0 among `constrained_ranks`, found without the other ranks."""
    first: np.ndarray = (violation <= 0.0) & np.isfinite(objectives).all(axis=1)
    if first.any():
        first[first] = undominated(objectives[first])
    else:
        first = constrained_ranks(objectives, violation) == 0
    return first


def crowding(objectives: Float[np.ndarray, "n m"], ranks: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Crowding distances within each rank, +inf at its ends; all ranks at once.

    Source: Deb et al. 2002, section III-B, each objective scaled by its range within the rank.
    """
    n, m = objectives.shape
    total = np.zeros(n)
    if not (ranks != ranks[:1]).any():
        for values in objectives.T:
            order = stable_order(values)
            total[order] += _gaps(values[order])
        return total
    for column in range(m):
        order = np.lexsort((objectives[:, column], ranks))
        values, rank = objectives[order, column], ranks[order]
        first = np.ones(n, dtype=bool)
        first[1:] = rank[1:] != rank[:-1]
        last = np.ones(n, dtype=bool)
        last[:-1] = first[1:]
        group = np.cumsum(first) - 1
        span = (values[last] - values[first])[group]
        gap = np.empty(n)
        gap[1:-1] = values[2:] - values[:-2]
        ends = first | last
        gap[ends] = np.inf
        np.divide(gap, span, out=gap, where=(span > 0) & ~ends)
        total[order] += gap
    return total


def _gaps(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The gap between the neighbours of each of rising values, as a share of their range; +inf at the ends."""
    gap = np.full(len(values), np.inf)
    gap[1:-1] = values[2:] - values[:-2]
    span = values[-1] - values[0] if len(values) else 0.0
    if span > 0:
        gap[1:-1] /= span
    return gap
