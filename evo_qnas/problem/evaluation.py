"""Evaluation that a search can trust."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from evo_qnas.errors import EvaluationError
from evo_qnas.problem.outcome import OK, Outcome
from evo_qnas.problem.problem import Problem


def evaluate_batches(
    problem: Problem, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1, strict: bool = False
) -> Iterator[Outcome]:
    """Evaluated networks as `Problem.evaluate_iter` yields them; nothing for no networks.

    Args:
        problem: any problem.
        genomes: the networks; stays unchanged.
        jobs: processes for functions of one network; a larger number of theirs wins.
        strict: raise where not one network could be evaluated, for a search's first batch.

    Raises:
        EvaluationError: the problem gives another shape or no numbers; or `strict` and every network failed.
    """
    if not len(genomes):
        return
    good, first = 0, ""
    for outcome in problem.evaluate_iter(genomes, jobs=jobs):
        good += int((outcome.state == OK).sum())
        first = first or next(iter(outcome.reasons.values()), "")
        yield outcome
    if strict and not good:
        raise EvaluationError(f"not one of {len(genomes)} networks could be evaluated: {first}")
