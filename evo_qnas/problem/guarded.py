"""Evaluation that a search can trust: shapes checked, failures kept apart with their reasons."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int, UInt8

from evo_qnas.errors import EvaluationError
from evo_qnas.problem.custom import RaisedError, as_numbers
from evo_qnas.problem.problem import Problem
from evo_qnas.problem.slow import FAILED, OK
from evo_qnas.problem.table_problem import TableProblem


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Some evaluated networks of a batch.

    Attributes:
        rows: (r,) int64, which rows of the batch these are.
        objectives: (r, m) float64, minimised; NaN where not ok.
        constraints: (r, k) float64 excesses; NaN where not ok.
        state: (r,) uint8: 0 ok, 1 failed, 2 timed out.
        reasons: position in this outcome to why it is not ok.
        seconds: (r,) float64, wall time of each network; a batch's time is shared out evenly.
    """

    rows: Int[np.ndarray, " r"]
    objectives: Float[np.ndarray, "r m"]
    constraints: Float[np.ndarray, "r k"]
    state: UInt8[np.ndarray, " r"]
    reasons: Mapping[int, str]
    seconds: Float[np.ndarray, " r"]


def evaluate_batches(
    problem: Problem, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1, strict: bool = False
) -> Iterator[Outcome]:
    """Evaluated networks: all at once for fast problems, one by one as they end for slow ones (in any order).

    A problem that raises on the batch is tried again row by row; the rows that raise are failed evaluations with their
    reason, as are rows with a value that is not finite.

    Args:
        problem: any problem.
        genomes: the networks; stays unchanged.
        jobs: processes for the per-network functions of a `TableProblem`; a larger number of theirs wins.
        strict: raise where not one network could be evaluated, for a search's first batch.

    Raises:
        EvaluationError: the problem gives another shape or no numbers; or `strict` and every network failed.
    """
    if not len(genomes):
        return
    good, first = 0, ""
    slow = isinstance(problem, TableProblem) and bool(problem.slow)
    for outcome in _slow(problem, genomes, jobs) if slow else iter([_guard(problem, genomes)]):
        good += int((outcome.state == OK).sum())
        first = first or next(iter(outcome.reasons.values()), "")
        yield outcome
    if strict and not good:
        raise EvaluationError(f"not one of {len(genomes)} networks could be evaluated: {first}")


def _slow(problem: Problem, genomes: Int[np.ndarray, "n blocks"], jobs: int) -> Iterator[Outcome]:
    """Networks of a problem with slow functions as they end."""
    if not isinstance(problem, TableProblem):
        raise TypeError("only table problems have slow functions")
    for result in problem.run_slow(genomes, jobs=jobs):
        if result.state != OK:
            yield _failed(problem, result.row, result.seconds, result.reason, result.state)
            continue
        row = np.array([result.row], dtype=np.int64)
        values = problem.assemble(genomes[row], np.array([result.values]))
        yield _finite(problem, row, values, np.array([result.seconds]))


def _guard(problem: Problem, genomes: Int[np.ndarray, "n blocks"]) -> Outcome:
    """The batch in one call, else row by row."""
    start = time.perf_counter()
    # Only a function of a user's could change the genomes that it is given.
    ours = isinstance(problem, TableProblem) and problem.of_columns
    try:
        given = problem.evaluate(genomes if ours else genomes.copy())
    except Exception as error:
        # A wrong form is a defect of the code for all networks, not of one network.
        if isinstance(error, EvaluationError) and not isinstance(error, RaisedError):
            raise
        if len(genomes) > 1:
            return _join([_guard(problem, genomes[row : row + 1]) for row in range(len(genomes))])
        text = str(error) if isinstance(error, EvaluationError) else f"{type(error).__name__}: {error}"
        return _failed(problem, 0, time.perf_counter() - start, text, FAILED)
    values = check_shapes(problem, given, len(genomes))
    seconds = np.full(len(genomes), (time.perf_counter() - start) / len(genomes))
    return _finite(problem, np.arange(len(genomes), dtype=np.int64), values, seconds)


def check_shapes(problem: Problem, given: Any, n: int) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
    """Objectives and constraints that `problem.evaluate` gave for `n` networks, as float64.

    Raises:
        EvaluationError: they are no pair of arrays of numbers with the shapes of the contract.
    """
    who = f"{type(problem).__name__}.evaluate"
    if not isinstance(given, tuple) or len(given) != 2:
        raise EvaluationError(f"{who} must give a pair (objectives, constraints), got {type(given).__name__}")
    found = []
    for what, part, width in zip(
        ("objectives", "constraints"), given, (len(problem.objectives), len(problem.constraints)), strict=True
    ):
        numbers = as_numbers(part, f"{who}: {what}") if np.size(part) else np.empty(np.shape(part))
        if numbers.shape != (n, width):
            raise EvaluationError(f"{who} must give {what} of shape ({n}, {width}), got {numbers.shape}")
        found.append(numbers)
    return found[0], found[1]


def _finite(
    problem: Problem,
    rows: Int[np.ndarray, " r"],
    values: tuple[Float[np.ndarray, "r m"], Float[np.ndarray, "r k"]],
    seconds: Float[np.ndarray, " r"],
) -> Outcome:
    """Evaluated rows; those with a value that is not finite are failed and blank."""
    together = np.concatenate(values, axis=1)
    bad = ~np.isfinite(together).all(axis=1)
    names = [info.name for info in problem.objectives] + [info.name for info in problem.constraints]
    reasons = {}
    for row in np.flatnonzero(bad):
        at = int(np.flatnonzero(~np.isfinite(together[row]))[0])
        reasons[int(row)] = f"{names[at]!r} is {together[row, at]}"
    together[bad] = np.nan
    objectives, constraints = np.split(together, [values[0].shape[1]], axis=1)
    state = np.where(bad, FAILED, OK).astype(np.uint8)
    return Outcome(
        rows=rows, objectives=objectives, constraints=constraints, state=state, reasons=reasons, seconds=seconds
    )


def _failed(problem: Problem, row: int, seconds: float, reason: str, state: int) -> Outcome:
    """One network that could not be evaluated."""
    return Outcome(
        rows=np.array([row], dtype=np.int64),
        objectives=np.full((1, len(problem.objectives)), np.nan),
        constraints=np.full((1, len(problem.constraints)), np.nan),
        state=np.array([state], dtype=np.uint8),
        reasons={0: reason},
        seconds=np.array([seconds]),
    )


def _join(parts: list[Outcome]) -> Outcome:
    """Single rows as one outcome."""
    return Outcome(
        rows=np.arange(len(parts), dtype=np.int64),
        objectives=np.concatenate([part.objectives for part in parts]),
        constraints=np.concatenate([part.constraints for part in parts]),
        state=np.concatenate([part.state for part in parts]),
        reasons={row: part.reasons[0] for row, part in enumerate(parts) if 0 in part.reasons},
        seconds=np.concatenate([part.seconds for part in parts]),
    )
