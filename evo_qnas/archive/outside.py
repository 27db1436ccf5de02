"""Values of networks that were evaluated elsewhere, checked at the border."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.front import signs
from evo_qnas.errors import ProblemError
from evo_qnas.problem import Problem

# Known values and those of another program differ in their last digits.
_EQUAL = 1e-9


def checked_values(
    problem: Problem, genomes: Int[np.ndarray, "n blocks"], objectives: Any, constraints: Any, who: str
) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
    """Objectives, minimised, and excesses of genomes of a problem.

    Args:
        problem: of the genomes.
        genomes: checked already.
        objectives: (n, m) numbers, each in its own direction.
        constraints: (n, k) excesses; None where there are none, or the problem knows them.
        who: the beginning of messages.

    Raises:
        ProblemError: a shape does not fit, a value is no number, limits are missing, or a maximised objective is
            negated.
    """
    n, m, k = len(genomes), len(problem.objectives), len(problem.constraints)
    values = _matrix(objectives, (n, m), f"{who}: objectives", [info.name for info in problem.objectives])
    sign = signs([info.maximize for info in problem.objectives])
    known, known_excess = problem.known(genomes)
    _check_directions(problem, values, known, sign, who)
    if constraints is None:
        if k and not np.isfinite(known_excess).all():
            names = ", ".join(info.name for info in problem.constraints)
            raise ProblemError(f"{who}: the problem has limits ({names}): give their excesses, met where <= 0")
        return values * sign, known_excess[:, :k].astype(np.float64, copy=False)
    limits = [info.name for info in problem.constraints]
    return values * sign, _matrix(constraints, (n, k), f"{who}: constraints", limits)


def _matrix(given: Any, shape: tuple[int, int], what: str, names: list[str]) -> Float[np.ndarray, "n m"]:
    """Numbers of that shape; one row may come without its row, and one column as a list."""
    try:
        numbers = np.ma.filled(np.ma.asarray(given, dtype=np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ProblemError(f"{what} must be numbers, NaN where there is none: {error}") from error
    if numbers.ndim < 2 and numbers.size == shape[0] * shape[1] and 1 in shape:
        numbers = numbers.reshape(shape)
    if numbers.shape != shape:
        raise ProblemError(f"{what} need the shape {shape}, columns {', '.join(names) or 'none'}, got {numbers.shape}")
    # An infinity is no value that a front could hold.
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _check_directions(
    problem: Problem,
    values: Float[np.ndarray, "n m"],
    known: Float[np.ndarray, "n m"],
    sign: Float[np.ndarray, " m"],
    who: str,
) -> None:
    """Refuses maximised objectives that are negated, where the problem knows their values."""
    for column, info in enumerate(problem.objectives):
        there = np.isfinite(known[:, column]) & np.isfinite(values[:, column]) & (known[:, column] != 0)
        if not info.maximize or not there.any():
            continue
        right = known[there, column] * sign[column]
        if (np.abs(values[there, column] + right) <= _EQUAL * np.abs(right)).all():
            raise ProblemError(
                f"{who}: {info.name} is maximised: give its values as they are, not negated as Problem.evaluate does"
            )
