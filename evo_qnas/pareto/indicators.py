"""Indicators of any set of points: hypervolume, additive epsilon, IGD+.

Points are rows of objectives, minimised unless `maximize` says otherwise; rows that are not finite are left out.
"""

from collections.abc import Sequence
from typing import Any

import moocore
import numpy as np
from jaxtyping import Float

from evo_qnas.arrays import given_array, given_numbers
from evo_qnas.errors import ProblemError
from evo_qnas.pareto.fronts import hypervolume as _volume


def hypervolume(points: Any, *, reference: Any, maximize: bool | Sequence[bool] = False) -> float:
    """The volume between the points and a reference point.

    Args:
        points: (n, m) objectives.
        reference: (m,) the reference point, worse than what is to count; in the same directions.
        maximize: for all objectives, or one by one.

    Raises:
        ProblemError: the shapes do not fit.

    Source: Fonseca, Paquete and Lopez-Ibanez 2006, through moocore.

    Example:
        >>> hypervolume([[1.0, 2.0], [2.0, 1.0]], reference=[3.0, 3.0])
        3.0
    """
    there, sign = _points(points, maximize, "points")
    corner = given_numbers(reference, "the reference point")
    if corner.shape != (there.shape[1],):
        raise ProblemError(f"the reference point needs the shape ({there.shape[1]},), got {corner.shape}")
    return float(_volume(there, corner * sign))


def epsilon(points: Any, *, reference: Any, maximize: bool | Sequence[bool] = False, scaled: bool = False) -> float:
    """The least amount by which the points must be moved, in every objective, to cover a reference front.

    Args:
        points: (n, m) objectives; of no points the result is infinite.
        reference: (r, m) the reference front.
        maximize: for all objectives, or one by one.
        scaled: measure each objective in the reference front's range.

    Raises:
        ProblemError: the shapes do not fit, or there is no reference.

    Source: Zitzler et al. 2003 (additive epsilon), through moocore.

    Example:
        >>> epsilon([[1.0, 2.0]], reference=[[0.5, 2.0], [1.0, 1.5]])
        0.5
    """
    there, front = _both(points, reference, maximize, scaled=scaled)
    return float(moocore.epsilon_additive(there, ref=front)) if len(there) else float("inf")


def igd_plus(points: Any, *, reference: Any, maximize: bool | Sequence[bool] = False, scaled: bool = False) -> float:
    """The mean distance from the points of a reference front to what they do not cover of it.

    Args:
        points: (n, m) objectives; of no points the result is infinite.
        reference: (r, m) the reference front.
        maximize: for all objectives, or one by one.
        scaled: measure each objective in the reference front's range.

    Raises:
        ProblemError: the shapes do not fit, or there is no reference.

    Source: Ishibuchi et al. 2015, through moocore.

    Example:
        >>> igd_plus([[1.0, 2.0]], reference=[[0.0, 2.0], [1.0, 2.0]])
        0.5
    """
    there, front = _both(points, reference, maximize, scaled=scaled)
    return float(moocore.igd_plus(there, ref=front)) if len(there) else float("inf")


def _points(
    points: Any, maximize: bool | Sequence[bool], what: str
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, " m"]]:
    """Minimised finite rows, and the signs that make them so."""
    rows = given_numbers(points, what)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ProblemError(f"{what} need one row a point and one column an objective, got the shape {rows.shape}")
    up = given_array(maximize, "maximize").astype(bool)
    if up.ndim == 0:
        up = np.full(rows.shape[1], up)
    if up.shape != (rows.shape[1],):
        raise ProblemError(f"maximize needs one value for each of {rows.shape[1]} objectives, got {up.size}")
    sign = np.where(up, -1.0, 1.0)
    return (rows * sign)[np.isfinite(rows).all(axis=1)], sign


def _both(
    points: Any, reference: Any, maximize: bool | Sequence[bool], *, scaled: bool
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "r m"]]:
    """Points and reference front, minimised, on one scale."""
    (there, _), (front, _) = _points(points, maximize, "points"), _points(reference, maximize, "reference points")
    if there.shape[1] != front.shape[1] or not len(front):
        raise ProblemError(f"the reference front needs points of {there.shape[1]} objectives, got {front.shape}")
    if scaled:
        low, span = front.min(axis=0), np.ptp(front, axis=0)
        span = np.where(span > 0, span, 1.0)
        return (there - low) / span, (front - low) / span
    return there, front
