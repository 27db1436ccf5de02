"""Sums without rounding: the numbers of an additive problem as whole multiples of one step per column.

Floating-point sums depend on their order, so that two networks with equal objectives could come out a last digit
apart, or two orders of merging could give two fronts. Multiples of one step that stay below 2^52 add up exactly in
float64, in any order.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.spaces import Additive

_LARGEST = 2.0**52
_DECIMALS = 12


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """An additive problem in whole numbers, without options that no best network uses for want of a finite value.

    Dimensions are the m objectives, then those limits that are no multiple of an objective.

    Attributes:
        options: per gene (d, options) float64, whole numbers.
        kept: per gene (options,) int64, positions of these options in the additive problem.
        steps: (d,) float64, what one unit of each dimension is in the problem's units.
        limits: (dimension, largest sum allowed) of each limit, in units of the dimension.
        m: the number of objectives.
    """

    options: tuple[Float[np.ndarray, "d _"], ...]
    kept: tuple[Int[np.ndarray, " _"], ...]
    steps: Float[np.ndarray, " d"]
    limits: tuple[tuple[int, float], ...]
    m: int


def lattice(additive: Additive, *, slack: float = 0.0) -> Lattice:
    """The whole-number form of `additive`.

    Decimal columns (at most 12 places) keep their decimals, so that 0.1 + 0.2 equals 0.3; the others are rounded to
    2^-52 of their largest sum, which is the precision of any float64 sum of them.

    Args:
        additive: the sums.
        slack: loosens each limit by this share of its largest sum (tightens it where negative).

    Raises:
        ProblemError: a gene has no option whose numbers are all finite.
    """
    m = len(additive.offset)
    rows = [np.hstack([o, x]).T for o, x in zip(additive.objectives, additive.limits, strict=True)]
    kept = [np.flatnonzero(np.isfinite(part).all(axis=0)) for part in rows]
    for index, positions in enumerate(kept):
        if not len(positions):
            names = ", ".join(additive.space.blocks[block] for block in additive.space.genes[index].blocks)
            raise ProblemError(f"{names} has no choice whose objectives and limits are all finite numbers")
    rows = [part[:, positions] for part, positions in zip(rows, kept, strict=True)]
    steps = [_step(np.concatenate([part[d] for part in rows]), sum(np.abs(p[d]).max() for p in rows)) for d in range(m)]
    parts = [[np.round(part[d] / steps[d]) for d in range(m)] for part in rows]
    limits: list[tuple[int, float]] = []
    for index, bound in enumerate(additive.bounds):
        column = [part[m + index] for part in rows]
        largest = sum(np.abs(values).max() for values in column)
        loosened = bound + slack * (largest + abs(bound))
        if loosened >= sum(values.max() for values in column):
            continue
        same = _same_objective(column, [[part[d] for part in rows] for d in range(m)])
        if same is not None:
            objective, factor, rest = same
            limits.append((objective, float((loosened - rest) / factor / steps[objective])))
            continue
        step = _step(np.concatenate(column), largest)
        limits.append((len(steps), float(loosened / step)))
        steps.append(step)
        for part, values in zip(parts, column, strict=True):
            part.append(np.round(values / step))
    return Lattice(
        options=tuple(np.stack(part) for part in parts),
        kept=tuple(kept),
        steps=np.array(steps),
        limits=tuple(limits),
        m=m,
    )


def _step(values: Float[np.ndarray, " n"], largest: float) -> float:
    """A step whose multiples the values are, and whose multiples add up exactly."""
    for places in range(_DECIMALS + 1):
        scale = 10.0**places
        if largest * scale >= _LARGEST:
            break
        if np.array_equal(np.round(values * scale) / scale, values):
            return 1.0 / scale
    return float(2.0 ** (np.ceil(np.log2(largest)) - 52.0)) if largest > 0.0 else 1.0


def _same_objective(
    column: list[Float[np.ndarray, " _"]], objectives: list[list[Float[np.ndarray, " _"]]]
) -> tuple[int, float, float] | None:
    """An objective that the limit's column is a positive multiple of, with the factor and the constant; else None."""
    spread = float(sum(np.ptp(values) for values in column))
    for index, parts in enumerate(objectives):
        other = float(sum(np.ptp(values) for values in parts))
        if not other or not spread:
            continue
        factor = spread / other
        rests = [values - factor * part for values, part in zip(column, parts, strict=True)]
        if all(np.ptp(rest) <= 1e-14 * np.abs(values).max() for rest, values in zip(rests, column, strict=True)):
            return index, factor, float(sum(rest[0] for rest in rests))
    return None
