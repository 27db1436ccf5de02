"""Networks of a problem that are evaluated while others are."""

from types import TracebackType
from typing import Any, final

import numpy as np
from jaxtyping import Int

from evo_qnas.jobs import Lost, Pool
from evo_qnas.problem.outcome import FAILED, Outcome
from evo_qnas.problem.problem import Problem
from evo_qnas.problem.slow import name_of_networks


@final
class Evaluator:
    """Networks go in one after another, outcomes come out as they end; a context manager, as `Pool`."""

    def __init__(self, problem: Problem, *, jobs: int) -> None:
        """Starts no evaluation yet.

        Args:
            problem: evaluated.
            jobs: processes; a larger number of the problem's functions wins.
        """
        self._problem = problem
        self._pool: Pool[Any] = Pool(problem.evaluation_task, jobs=problem.processes(jobs))
        self._genomes: dict[int, np.ndarray] = {}
        self._next = 0

    @property
    def capacity(self) -> int:
        """The number of networks to hand in at once, see `Pool.capacity`."""
        return self._pool.capacity

    def __len__(self) -> int:
        """The number of networks without an outcome."""
        return len(self._pool)

    def submit(self, genome: Int[np.ndarray, " blocks"]) -> None:
        """Hands in a network."""
        key, self._next = self._next, self._next + 1
        self._genomes[key] = genome[None].copy()
        self._pool.submit(key, self._genomes[key], name_of_networks(self._genomes[key]))

    def outcomes(self) -> list[tuple[Int[np.ndarray, "1 blocks"], Outcome]]:
        """Networks with their outcomes, at least one where any is without; waits for it.

        Raises:
            EvaluationError: the problem gives another shape or no numbers.
            JobError: the cluster went away.
        """
        found = []
        for key, made in self._pool.results():
            genome = self._genomes.pop(key)
            if isinstance(made, Lost):
                outcome = self._problem.returns.failed(0, 0.0, f"not evaluated: {made.reason}", FAILED)
            else:
                outcome = self._problem.outcome_of(genome, made)
            found.append((genome, outcome))
        return found

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
