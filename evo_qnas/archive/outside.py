"""Values of networks that were evaluated elsewhere, checked at the border."""

import uuid
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.decoding import genomes_of_words
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import signs
from evo_qnas.archive.header import ELSEWHERE, Header
from evo_qnas.archive.layout import Contents
from evo_qnas.arrays import given_array
from evo_qnas.errors import ArchiveError, ProblemError
from evo_qnas.frames import read_csv
from evo_qnas.problem import Problem
from evo_qnas.problem.outcome import FAILED, OK

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


def contents_of(problem: Problem, genomes: Any, objectives: Any, constraints: Any = None) -> Contents:
    """A finished archive of networks that were evaluated elsewhere, in the order of their rows.

    Its search can be merged with others of the problem, compared with them, and taken into one as known values
    (`search(known=..)`).

    Args:
        problem: a `Problem`; `DeclaredProblem` has names and choices only.
        genomes: (n, blocks) whole numbers, the index of each block's choice; those that come again are left out.
        objectives: (n, m), each in its own direction, as `Archive.objectives` has them; NaN where the evaluation
            failed.
        constraints: (n, k) excesses, met where <= 0; may be left out where the problem has none or knows them.

    Raises:
        ProblemError: a genome is none of the problem's, or the values have another shape or are no numbers.
    """
    rows = checked_genomes(genomes, "from_evaluations")
    problem.space.encode(rows)
    values, excess = checked_values(problem, rows, objectives, constraints, "from_evaluations")
    first = np.sort(np.unique(rows, axis=0, return_index=True)[1]) if len(rows) else np.empty(0, dtype=np.int64)
    return Contents(
        run=uuid.uuid4().hex,
        header=Header(
            problem=problem.describe(),
            tables=problem.tables,
            blocks=problem.space.blocks,
            objectives=problem.objectives,
            constraints=problem.constraints,
            algorithm=ELSEWHERE,
            fingerprint=problem.fingerprint,
        ),
        evaluations=told_evaluations(rows[first], values[first], excess[first], reason="no number was given"),
        finished=True,
        extras={"ending": "evaluated elsewhere"},
    )


def contents_of_frame(problem: Problem, frame: Any) -> Contents:
    """The same of a data frame, or of the CSV file of a path, as `Archive.to_dataframe` gives them.

    A column for each block, of choices in words (`operator w4 a8`), values or indices; one for each objective, by name
    and in its own direction; and one for each limit's excess, which may all be missing where the problem knows them.

    Raises:
        ArchiveError: the file cannot be read, a column is missing, or a choice is none of its block's.
        ProblemError: see `contents_of`.
    """
    try:
        table = read_csv(frame) if isinstance(frame, str | Path) else frame
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{frame} cannot be read as CSV: {error}") from error
    columns = {str(name): np.asarray(table[name]) for name in table.columns}

    def column(name: str, kind: str) -> np.ndarray:
        if name not in columns:
            raise ArchiveError(f"the column of {kind} {name!r} is missing; there are: {', '.join(columns)}")
        return columns[name]

    blocks = [columns.get(f"{name} (choice)", columns.get(name)) for name in problem.space.blocks]
    for name, found in zip(problem.space.blocks, blocks, strict=True):
        if found is None:
            column(name, "block")
    words = [np.asarray(block) for block in blocks]
    genomes = genomes_of_words(problem.describe(), problem.tables, problem.space.blocks, words)
    values = [columns.get(f"{info.name} (objective)") for info in problem.objectives]
    objectives = np.stack(
        [column(i.name, "objective") if v is None else v for i, v in zip(problem.objectives, values, strict=True)],
        axis=1,
    )
    limits = [columns.get(f"{info.name} (excess)", columns.get(info.name)) for info in problem.constraints]
    known = [np.asarray(limit) for limit in limits if limit is not None]
    return contents_of(problem, genomes, objectives, np.stack(known, axis=1) if len(known) == len(limits) > 0 else None)


def told_evaluations(
    genomes: Int[np.ndarray, "n blocks"],
    objectives: Float[np.ndarray, "n m"],
    excess: Float[np.ndarray, "n k"],
    *,
    reason: str,
    generation: int = 0,
    seconds: float = 0.0,
) -> Evaluations:
    """Evaluations of checked values; where one is no number the evaluation failed, for that reason."""
    failed = ~(np.isfinite(objectives).all(axis=1) & np.isfinite(excess).all(axis=1))
    n = len(genomes)
    return Evaluations(
        genomes=genomes,
        objectives=np.where(failed[:, None], np.nan, objectives),
        constraints=np.where(failed[:, None], np.nan, excess),
        generation=np.full(n, generation, dtype=np.int32),
        seconds=np.full(n, seconds),
        state=np.where(failed, FAILED, OK).astype(np.uint8),
        reasons=MappingProxyType(dict.fromkeys(np.flatnonzero(failed).tolist(), reason)),
    )


def checked_genomes(values: Any, who: str) -> Int[np.ndarray, "n blocks"]:
    """Genomes as (n, blocks) int64; one genome may come without its row.

    Raises:
        ProblemError: they are no whole numbers, or rows differ in length.
    """
    rows = np.atleast_2d(given_array(values, f"{who}: genomes"))
    with np.errstate(invalid="ignore"):
        whole = rows.dtype.kind in "biuf" and bool((rows == np.rint(rows)).all()) and bool(np.isfinite(rows).all())
    if not whole:
        raise ProblemError(f"{who}: genomes must be whole numbers, the index of each block's choice, got {rows.dtype}")
    genomes: np.ndarray = rows.astype(np.int64)
    return genomes
