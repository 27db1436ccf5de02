"""The reach of additive objectives and limits, and the reasons why limits cannot be met."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Bool, Float

from evo_qnas.errors import InfeasibleError, ProblemError
from evo_qnas.pareto.lattice import Lattice, lattice
from evo_qnas.pareto.single import smallest_sum
from evo_qnas.problem import Problem
from evo_qnas.spaces import ROUNDING, Additive


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reachable:
    """The reach of the objectives and limits of an additive problem.

    Attributes:
        low: (m,) float64, smallest value of each objective, limits left aside, as `Problem.evaluate` counts it.
        high: (m,) float64, the largest.
        limit_names: the limits' texts.
        nearest: (k,) float64, the limited quantity's value that goes furthest towards meeting each limit alone, in the
            units of its text: the smallest for `<=`, the largest for `>=`.
        alone: (k,) bool, True where a limit can be met by itself.
        together: True where one network can meet them all.
        reason: why they cannot be met, one sentence; empty where they can.
    """

    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]
    limit_names: tuple[str, ...]
    nearest: Float[np.ndarray, " k"]
    alone: Bool[np.ndarray, " k"]
    together: bool
    reason: str


def smallest_reachable(problem: Problem | Additive) -> Reachable:
    """The reach of every objective and limit, alone by sums of minima, together by integer programming.

    Args:
        problem: a problem, or the additive part of one.

    Raises:
        ProblemError: the problem has no additive form.

    Example:
        >>> from evo_qnas.tables import Tables
        >>> from evo_qnas.problem import TableProblem
        >>> tables = Tables.from_arrays({"score": [np.array([2.0, 1.0])] * 2, "latency_ms": [np.array([1.5, 4.0])] * 2})
        >>> smallest_reachable(TableProblem(tables, objectives=["score"], constraints=["latency_ms <= 2"])).reason
        'latency_ms <= 2 cannot be met: the smallest reachable is 3'
    """
    additive = problem.additive if isinstance(problem, Problem) else problem
    if additive is None:
        raise ProblemError("what can be reached is known only for objectives and limits that are sums over blocks")
    low = additive.offset + sum(_finite(part).min(axis=0) for part in additive.objectives)
    high = additive.offset + sum(_finite(part).max(axis=0) for part in additive.objectives)
    excess = sum((_finite(part).min(axis=0) for part in additive.limits), start=-additive.bounds)
    nearest = np.array([_value(additive, row, float(least)) for row, least in enumerate(excess)], dtype=np.float64)
    alone = excess <= _tolerance(additive)
    reason = _reason(additive, excess, alone)
    return Reachable(
        low=low,
        high=high,
        limit_names=additive.limit_names,
        nearest=nearest,
        alone=alone,
        together=not reason,
        reason=reason,
    )


def require_feasible(problem: Problem | Additive) -> None:
    """Raises where no network meets the additive limits; does nothing where one does, or where nothing is additive.

    Raises:
        InfeasibleError: a limit cannot be met, or several cannot be met together; the text says what can be reached.
    """
    additive = problem.additive if isinstance(problem, Problem) else problem
    if additive is None or not len(additive.bounds):
        return
    reason = smallest_reachable(additive).reason
    if reason:
        raise InfeasibleError(reason)


def _finite(values: Float[np.ndarray, "options d"]) -> Float[np.ndarray, "usable d"]:
    """The options without NaN or infinity; all where there are none."""
    usable: np.ndarray = np.isfinite(values).all(axis=1)
    return values[usable] if usable.any() else values


def _tolerance(additive: Additive) -> Float[np.ndarray, " k"]:
    """The part of an excess that may be rounding."""
    largest = sum((np.abs(_finite(part)).max(axis=0) for part in additive.limits), start=np.abs(additive.bounds))
    tolerance: np.ndarray = ROUNDING * largest
    return tolerance


def _value(additive: Additive, row: int, excess: float) -> float:
    """The limited quantity where the limit is exceeded by `excess`; the excess where only that is known."""
    return additive.limit_sides[row].quantity(excess) if additive.limit_sides else excess


def _reached(additive: Additive, row: int, excess: float) -> str:
    """`the smallest reachable is 3.41`, or the largest for a lower limit."""
    value = f"{_value(additive, row, excess):.6g}"
    if not additive.limit_sides:
        return f"the smallest reachable excess is {value}"
    side = additive.limit_sides[row]
    if float(value) == float(f"{side.number:.15g}"):
        value = f"{side.quantity(excess):.15g}"
    return f"the {'smallest' if side.sign > 0 else 'largest'} reachable is {value}"


def _reason(additive: Additive, excess: Float[np.ndarray, " k"], alone: Bool[np.ndarray, " k"]) -> str:
    """The reason why the limits cannot be met; empty where they can."""
    if not alone.all():
        return "; ".join(
            f"{additive.limit_names[row]} cannot be met: {_reached(additive, int(row), float(excess[row]))}"
            for row in np.flatnonzero(~alone)
        )
    if len(alone) < 2 or _least(additive, list(range(len(alone)))) is not None:
        return ""
    rows = _conflict(additive)
    last = rows[-1]
    others = " and ".join(additive.limit_names[row] for row in rows[:-1])
    left = _least(additive, rows[:-1], minimised=last)
    text = _reached(additive, last, float(left if left is not None else excess[last]))
    return f"{others} and {additive.limit_names[last]} cannot be met together: under {others} {text}"


def _conflict(additive: Additive) -> list[int]:
    """Limits that cannot be met together, while any of them left out lets the others be met."""
    rows = list(range(len(additive.bounds)))
    for row in list(rows):
        fewer = [other for other in rows if other != row]
        if len(fewer) > 1 and _least(additive, fewer) is None:
            rows = fewer
    return rows


def _least(additive: Additive, rows: list[int], *, minimised: int | None = None) -> float | None:
    """Smallest excess of a limit (0.0 if none is asked for) under some limits; None where they cannot be met."""
    picked = [minimised] if minimised is not None else []
    plain = replace(
        additive,
        objectives=tuple(part[:, picked] if picked else np.zeros((len(part), 1)) for part in additive.limits),
        offset=-additive.bounds[picked] if picked else np.zeros(1),
        limits=tuple(part[:, rows] for part in additive.limits),
        bounds=additive.bounds[rows],
        limit_names=tuple(additive.limit_names[row] for row in rows),
        limit_sides=(),
    )
    whole: Lattice = lattice(plain, slack=ROUNDING)
    genes = smallest_sum(whole)
    return float(plain.sums(genes)[0][0, 0]) if len(genes) else None
