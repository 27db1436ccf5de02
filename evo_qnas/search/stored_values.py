"""Stored values held against new ones before a search goes on from an archive."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive import Evaluations
from evo_qnas.errors import ArchiveError
from evo_qnas.problem import Outcome, Problem

# Three networks show nearly every change of an objective and cost less than one batch. Chosen, not measured.
_ROWS = 3
# Relative deviation that counts as equal: float32 in batches of other sizes differs by up to 1e-6, a change of an
# objective hardly ever by less than 1e-5.
_TOLERANCE = 1e-5
# The same of the largest value of a column, for values that are next to 0 by cancellation.
_ROUNDING = 1e-9
_OK, _FAILED = 0, 1


def check_stored_values(
    problem: Problem, stored: Evaluations, *, seed: int, path: str | Path | None, noisy: bool = False, jobs: int = 1
) -> None:
    """Evaluates up to 3 stored networks again and refuses the archive where one has other values now.

    Networks whose evaluation failed are left out, and so is what runs into a time limit now. Nothing is evaluated where
    the problem's fingerprint covers every value, or where values are noisy. Nothing is recorded.

    Args:
        problem: as it is now.
        stored: the evaluations of an archive.
        seed: draws the networks.
        path: of the archive, for the message.
        noisy: equal networks may get unequal values.
        jobs: processes for slow objectives.

    Raises:
        ArchiveError: a value differs by more than 1e-5 of its size (and 1e-9 of the largest), or the evaluation fails
            now.
    """
    rows = np.flatnonzero(stored.state == _OK)
    if noisy or problem.noisy or problem.fully_fingerprinted or not len(rows):
        return
    rows = np.sort(np.random.default_rng(seed).choice(rows, size=min(_ROWS, len(rows)), replace=False))
    genomes = stored.genomes[rows].astype(np.int64)
    for outcome in problem.evaluate_again(genomes, jobs=jobs):
        difference = _difference(problem, stored, rows[outcome.rows], outcome)
        if difference:
            raise ArchiveError(
                f"{path} cannot be continued: {difference}: the problem, or something that it reads, has changed; use "
                "another path, start anew (resume=False, --restart), or say that equal networks may get unequal values "
                "(noisy=True)"
            )


def _difference(problem: Problem, stored: Evaluations, rows: Int[np.ndarray, " r"], outcome: Outcome) -> str:
    """The first value that is another one now, as a phrase; empty where there is none."""
    names = [info.name for info in problem.objectives] + [info.name for info in problem.constraints]
    signs = np.array([-1.0 if info.maximize else 1.0 for info in problem.objectives] + [1.0] * len(problem.constraints))
    before = _together(stored.objectives[rows], stored.constraints[rows])
    every = _together(stored.objectives, stored.constraints)
    largest = np.nan_to_num(np.abs(every)).max(axis=0, initial=0.0)
    now = _together(outcome.objectives, outcome.constraints)
    for at, row in enumerate(rows.tolist()):
        where = f"evaluation {row}, genome {stored.genomes[row].tolist()}"
        if outcome.state[at] == _FAILED:
            return f"{where}, was evaluated before and fails now ({outcome.reasons.get(at, 'no reason given')})"
        if outcome.state[at] != _OK:
            continue
        same = np.abs(now[at] - before[at]) <= _TOLERANCE * np.abs(before[at]) + _ROUNDING * largest
        if not same.all():
            wrong = int(same.argmin())
            old, new = signs[wrong] * before[at, wrong], signs[wrong] * now[at, wrong]
            return f"{where}, has {names[wrong]} = {new:.10g} now, and the archive has {old:.10g}"
    return ""


def _together(objectives: Float[np.ndarray, "n m"], constraints: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n w"]:
    return np.concatenate([objectives, constraints], axis=1)
