"""Sums without rounding: the numbers of an additive problem as whole multiples of one step per column.

Floating-point sums depend on their order, so that two networks with equal objectives could come out a last digit
apart, or two orders of merging could give two fronts. Multiples of one step that stay below 2^52 add up exactly in
float64, in any order. A table that was computed holds 0.30000000000000004 where 0.3 is meant: numbers are multiples of
a step where they are so up to the rounding of their sums.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.pareto.filters import minima
from evo_qnas.spaces import Additive

# Whole numbers below this add up exactly in float64.
_LARGEST = 2.0**52
# Decimal places of tables that people write or that are printed from floats.
_DECIMALS = 12
# What float64 may have lost of a number, and of the sums that a tie or a fixed cost put into it, as a share of the
# largest sum; a step must be so many times larger, or everything would be a multiple of it.
_ROUNDING = 2.0**-50
_CLEARLY = 32.0
# A common step of other than decimals must be larger than the largest sum over this, or chance would find one.
_MULTIPLES = 2.0**22


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """An additive problem in whole numbers, without options that no best network uses for want of a finite value.

    Dimensions are the m objectives, then those limits that are no multiple of an objective.

    Attributes:
        options: per gene (d, options) float64, whole numbers.
        kept: per gene (options,) int64, positions of these options in the additive problem.
        steps: (d,) float64, what one unit of each dimension is in the problem's units.
        limits: (dimension, largest sum allowed) of each limit that not every network meets, in units of the dimension.
        positions: which of the problem's limits these are.
        m: the number of objectives.
    """

    options: tuple[Float[np.ndarray, "d _"], ...]
    kept: tuple[Int[np.ndarray, " _"], ...]
    steps: Float[np.ndarray, " d"]
    limits: tuple[tuple[int, float], ...]
    positions: tuple[int, ...]
    m: int

    def sum_of(self, genes: Int[np.ndarray, " genes"], dimension: int) -> float:
        """The sum of gene values of the additive problem in one dimension."""
        places = zip(self.options, self.kept, genes, strict=True)
        return float(sum(part[dimension, np.searchsorted(kept, gene)] for part, kept, gene in places))


def lattice(additive: Additive, *, slack: float = 0.0) -> Lattice:
    """The whole-number form of `additive`, without options that cannot be part of any answer.

    Columns of decimals (at most 12 places), or of multiples of some other step, become multiples of it, so that 0.1 +
    0.2 equals 0.3; the others are rounded to 2^-52 of their largest sum, the precision of any float64 sum of them.

    Args:
        additive: the sums.
        slack: loosens each limit by this share of its largest sum (tightens it where negative).

    Raises:
        ProblemError: a gene has no option whose numbers are all finite.
    """
    m = len(additive.offset)
    rows = [np.hstack([o, x]).T for o, x in zip(additive.objectives, additive.limits, strict=True)]
    kept = _useful(additive, rows)
    rows = [part[:, positions] for part, positions in zip(rows, kept, strict=True)]
    members = len(additive.space.blocks)
    columns = [[part[d] for part in rows] for d in range(m + len(additive.bounds))]
    steps = [_step(column, members) for column in columns[:m]]
    parts = [[np.round(part / step) for part in column] for column, step in zip(columns, steps, strict=False)]
    limits, positions = [], []
    for index, bound in enumerate(additive.bounds):
        column = columns[m + index]
        loosened = bound + slack * (_largest(column) + abs(bound))
        if loosened >= sum(values.max() for values in column):
            continue
        positions.append(index)
        same = _same_objective(column, columns[:m])
        if same is not None:
            objective, factor, rest = same
            limits.append((objective, float((loosened - rest) / factor / steps[objective])))
            continue
        step = _step(column, members)
        limits.append((len(steps), float(loosened / step)))
        steps.append(step)
        parts.append([np.round(values / step) for values in column])
    return Lattice(
        options=tuple(np.stack(part) for part in zip(*parts, strict=True)),
        kept=tuple(kept),
        steps=np.array(steps),
        limits=tuple(limits),
        positions=tuple(positions),
        m=m,
    )


def _useful(additive: Additive, rows: list[Float[np.ndarray, "d _"]]) -> list[Int[np.ndarray, " _"]]:
    """Per gene the options that are finite, leave every limit within reach, and that no other one beats.

    One huge number, which people write for what is not allowed, would cost all others their precision.
    """
    kept = [np.flatnonzero(np.isfinite(part).all(axis=0)) for part in rows]
    for index, positions in enumerate(kept):
        if not len(positions):
            names = ", ".join(additive.space.blocks[block] for block in additive.space.genes[index].blocks)
            raise ProblemError(f"{names} has no choice whose objectives and limits are all finite numbers")
    m = len(additive.offset)
    limits = [part[m:, positions] for part, positions in zip(rows, kept, strict=True)]
    lows = np.array([part.min(axis=1) for part in limits])
    room = additive.bounds - lows.sum(axis=0)
    room = room + 1e-9 * (np.abs(additive.bounds) + np.abs(lows).sum(axis=0))
    useful = []
    for part, limit, low, positions in zip(rows, limits, lows, kept, strict=True):
        within = positions[(limit - low[:, None] <= room[:, None]).all(axis=0)]
        within = within if len(within) else positions
        useful.append(within[np.sort(minima(part[:, within]))])
    return useful


def _largest(column: list[Float[np.ndarray, " _"]]) -> float:
    """No sum of one number of each part is further from 0."""
    return float(sum(np.abs(values).max() for values in column))


def _step(column: list[Float[np.ndarray, " _"]], members: int) -> float:
    """A step whose multiples the values are up to rounding, and whose multiples add up exactly.

    Args:
        column: per gene the values of its options.
        members: what a mean was divided by.
    """
    largest = _largest(column)
    if largest == 0.0:
        return 1.0
    values = np.unique(np.concatenate(column))
    for parts in (1.0, float(members)):
        for places in range(_DECIMALS + 1):
            scale = parts * 10.0**places
            if largest * scale >= _LARGEST:
                break
            if _are_multiples(values, 1.0 / scale, largest) or np.array_equal(np.round(values * scale) / scale, values):
                return 1.0 / scale
    return _common_step(values, largest) or float(2.0 ** (np.ceil(np.log2(largest)) - 52.0))


def _are_multiples(values: Float[np.ndarray, " n"], step: float, largest: float) -> bool:
    """True where all values are multiples of `step` up to rounding, which must be far below a step."""
    lost = _ROUNDING * largest
    return step >= _CLEARLY * lost and bool((np.abs(np.round(values / step) * step - values) <= lost).all())


def _common_step(values: Float[np.ndarray, " n"], largest: float) -> float | None:
    """The largest step that all values are multiples of up to rounding; None where it is too small to tell.

    Source: Euclid's algorithm on rounded numbers: what a remainder has lost grows with the number of steps in a value.
    """
    least = largest / _MULTIPLES
    step, left = 0.0, np.abs(values)
    left = left[left > least]
    while len(left):
        other = float(left.min())
        while other > least:
            step, other = other, abs(step - other * round(step / other))
        if step <= least:
            return None
        left = np.abs(values - step * np.round(values / step))
        left = left[left > least]
    if not step:
        return None
    counts = np.round(values / step)
    step = float(values @ counts / (counts @ counts))
    return step if _are_multiples(values, step, largest) else None


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
