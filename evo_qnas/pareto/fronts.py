"""Non-dominated points and their hypervolume, safe against NaN and infinity."""

import moocore
import numpy as np
from jaxtyping import Bool, Float

from evo_qnas.errors import ProblemError
from evo_qnas.pareto.order import stable_order
from evo_qnas.spaces import ROUNDING

# From so many points on, in up to so many dimensions, sorting them first makes moocore faster by more than it takes.
_MANY = 2000
_FEW_DIMENSIONS = 3
# From so many points in two objectives on, numpy's vectorised sort is faster than moocore's.
_MANY_OF_TWO = 200
# What float64 may have lost of a sum whose parts cancel, as a share of the other points' numbers.
_LOST = 2.0**-50
# A front whose volume is below this has none: its points lie on the edges of the scaled range.
_NO_VOLUME = 1e-9
# Shares that differ from 1 by less are 1: sums differ in their last digits.
_WHOLE = 1e-9


def nondominated(points: Float[np.ndarray, "n m"]) -> Bool[np.ndarray, " n"]:
    """True for points that no other point dominates; `(n,)` bool, all objectives minimised.

    A row with NaN or infinity is never non-dominated and dominates nothing; of equal rows the first stays.

    Args:
        points: (n, m) float64, m >= 1.

    Source: Kung, Luccio and Preparata 1975, through moocore, which itself ranks NaN first.

    Example:
        >>> nondominated(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [3.0, 3.0], [np.nan, 0.0]])).tolist()
        [True, True, False, False, False]
    """
    keep: np.ndarray = np.isfinite(points).all(axis=1)
    if keep.any():
        # Adding 0.0 turns -0.0 into 0.0, which a comparison of bits would take for a smaller value.
        keep[keep] = _unbeaten(points[keep] + 0.0, equals=False)
    return keep


def front_mask(points: Float[np.ndarray, "n m"]) -> Bool[np.ndarray, " n"]:
    """True for the points of the front; `(n,)` bool, all objectives minimised, rounding left aside.

    As `nondominated`, but numbers that differ by rounding alone are equal: sums of the same numbers in another order
    differ in their last digits, and such a difference saves no point. Of equal ones the smallest to the last digit
    stays, the first of several.

    Example:
        >>> front_mask(np.array([[0.1 + 0.2, 2.0], [0.3, 2.0], [0.3, 3.0], [0.2, 4.0]])).tolist()
        [False, True, False, True]
    """
    keep = nondominated(points)
    rows = np.flatnonzero(keep)
    # What is beaten by rounding alone is, up to rounding, equal to what beats it: only the others can be too many.
    keep[rows] = nondominated(np.apply_along_axis(_without_rounding, 0, points[rows])) if len(rows) > 1 else True
    return keep


def _without_rounding(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The numbers, each as the smallest one that it equals up to rounding."""
    order = np.argsort(values)
    ordered = values[order] + 0.0
    sizes = np.abs(ordered)
    allowed = ROUNDING * sizes + _LOST * np.median(sizes)
    with np.errstate(over="ignore"):
        starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) > allowed[1:]]))
    stops = np.append(starts[1:], len(ordered))
    several = stops > starts + 1
    for start, stop in zip(starts[several].tolist(), stops[several].tolist(), strict=True):
        first = start
        for at in range(start + 1, stop):
            if ordered[at] - ordered[first] > allowed[at]:
                first = at
            ordered[at] = ordered[first]
    merged = np.empty_like(ordered)
    merged[order] = ordered
    return merged


def undominated(points: Float[np.ndarray, "n m"]) -> Bool[np.ndarray, " n"]:
    """True for points that no other point dominates, equal ones all together; `(n,)` bool, all finite and minimised.

    Example:
        >>> undominated(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [3.0, 3.0]])).tolist()
        [True, True, True, False]
    """
    return _unbeaten(points, equals=True)


def _unbeaten(points: Float[np.ndarray, "n m"], *, equals: bool) -> Bool[np.ndarray, " n"]:
    """Moocore's answer; of equal points the first, or with `equals` all."""
    if points.shape[1] == 2 and len(points) >= _MANY_OF_TWO:
        order = np.argsort(points[:, 0])
        first, second = points[order, 0], points[order, 1]
        # Without ties in the first objective one running minimum of the second one decides.
        if (first[1:] != first[:-1]).all():
            keep = np.ones(len(points), dtype=bool)
            keep[order[1:]] = second[1:] < np.minimum.accumulate(second)[:-1]
            return keep
    if len(points) < _MANY or not 1 < points.shape[1] <= _FEW_DIMENSIONS:
        mask: np.ndarray = moocore.is_nondominated(points, keep_weakly=equals)
        return mask
    order = stable_order(points[:, -1])
    keep = np.empty(len(points), dtype=bool)
    keep[order] = moocore.is_nondominated(points[order], keep_weakly=equals)
    return keep


def hypervolume(points: Float[np.ndarray, "n m"], reference: Float[np.ndarray, " _"]) -> float:
    """The volume between `points` and the reference point that at least one point dominates, minimisation.

    Points that are not below the reference in every objective, and those with NaN or infinity, add nothing.

    Raises:
        ProblemError: the reference has another length than the points, or is not finite.

    Source: Fonseca, Paquete and Lopez-Ibanez 2006, through moocore.

    Example:
        >>> hypervolume(np.array([[0.0, 0.5], [0.5, 0.0]]), np.array([1.0, 1.0]))
        0.75
    """
    if reference.shape != points.shape[1:] or not np.isfinite(reference).all():
        raise ProblemError(f"the reference point needs {points.shape[1]} finite numbers, got {reference.tolist()}")
    useful = points[(points < reference).all(axis=1) & np.isfinite(points).all(axis=1)]
    return float(moocore.hypervolume(useful, ref=reference)) if len(useful) else 0.0


def reference_coordinate(volume: float) -> float:
    """The reference point's coordinate in every objective, scaled to the range of a front.

    1.0, so that a share is of what lies within the range; 1.1 where the front has no volume below that, as two points
    that are best in one objective each.

    Args:
        volume: the scaled front's hypervolume below 1.0.
    """
    return 1.0 if volume > _NO_VOLUME else 1.1


def hypervolume_share(reached: float, best: float) -> float:
    """A hypervolume as a share of the best one: 1 where they differ by rounding alone, NaN where there is no best.

    Example:
        >>> hypervolume_share(0.1 + 0.2, 0.3), hypervolume_share(1.0, 4.0)
        (1.0, 0.25)
    """
    share = reached / best if best > 0.0 else float("nan")
    return 1.0 if abs(share - 1.0) <= _WHOLE else share
