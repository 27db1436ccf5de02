"""The search loop: ask, evaluate what is new, record it, tell."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import final

import numpy as np
from jaxtyping import Int

from evo_qnas.archive import Evaluations, Recorder
from evo_qnas.problem import Problem, evaluate_batches
from evo_qnas.search.base import Optimizer
from evo_qnas.search.values import Values
from evo_qnas.search.visited import Visited

# Asks in a row without one new network that end a search. Chosen, not measured.
IDLE_ASKS = 100


@final
class Source:
    """Evaluations of genomes: from an earlier run where it has them, else from the problem."""

    def __init__(self, problem: Problem, recorder: Recorder, *, jobs: int, known: Evaluations | None = None) -> None:
        """Takes what is known.

        Args:
            problem: evaluated.
            recorder: of the search.
            jobs: processes for slow objectives; changes nothing but the time.
            known: evaluations that need not be made; those that `recorder` has come first.
        """
        self._problem = problem
        self._recorder = recorder
        self._jobs = jobs
        recorded = recorder.recorded
        self._start = time.perf_counter() - float(recorded.seconds.max(initial=0.0))
        self._strict = not len(recorded)
        self._earlier = recorded
        if known is not None:
            others = replace(known, seconds=np.zeros(len(known)))
            self._earlier = Evaluations.joined([recorded, others])
        self._known: dict[bytes, int] = {}
        for row, genome in enumerate(self._earlier.genomes):
            self._known.setdefault(genome.tobytes(), row)

    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"], generation: int, advance: Callable[[int], None]
    ) -> Evaluations:
        """Evaluations of `genomes` in their order, the same whether they are taken from an earlier run or made now."""
        n = len(genomes)
        objectives = np.full((n, len(self._problem.objectives)), np.nan)
        constraints = np.full((n, len(self._problem.constraints)), np.nan)
        seconds, state, reasons = np.zeros(n), np.zeros(n, dtype=np.uint8), {}
        missing = np.arange(n)
        if self._known:
            earlier = np.array([self._known.get(genome.tobytes(), -1) for genome in genomes], dtype=np.int64)
            have, rows = np.flatnonzero(earlier >= 0), earlier[earlier >= 0]
            objectives[have], constraints[have] = self._earlier.objectives[rows], self._earlier.constraints[rows]
            seconds[have], state[have] = self._earlier.seconds[rows], self._earlier.state[rows]
            for at, row in zip(have.tolist(), rows.tolist(), strict=True):
                if row in self._earlier.reasons:
                    reasons[at] = self._earlier.reasons[row]
            missing = np.flatnonzero(earlier < 0)
            advance(len(have))
        for outcome in evaluate_batches(self._problem, genomes[missing], jobs=self._jobs, strict=self._strict):
            at = missing[outcome.rows]
            objectives[at], constraints[at], state[at] = outcome.objectives, outcome.constraints, outcome.state
            seconds[at] = time.perf_counter() - self._start
            here = {int(at[row]): why for row, why in outcome.reasons.items()}
            reasons |= here
            advance(len(at))
            if len(at) < len(missing):
                self._recorder.keep(
                    Evaluations(
                        genomes=genomes[at],
                        objectives=outcome.objectives,
                        constraints=outcome.constraints,
                        generation=np.full(len(at), generation, dtype=np.int32),
                        seconds=seconds[at],
                        state=outcome.state,
                        reasons=outcome.reasons,
                    )
                )
        self._strict = False
        return Evaluations(
            genomes=genomes,
            objectives=objectives,
            constraints=constraints,
            generation=np.full(n, generation, dtype=np.int32),
            seconds=seconds,
            state=state,
            reasons=reasons,
        )

    def record(self, batch: Evaluations) -> None:
        """Takes down the next evaluations of the search."""
        self._recorder.append(batch)


def run(
    optimizer: Optimizer,
    visited: Visited,
    source: Source,
    values: Values,
    *,
    evaluations: int,
    advance: Callable[[int], None],
    stopping: Callable[[Evaluations], str] = lambda _batch: "",
) -> str:
    """Runs a search to its end and gives the reason: `budget`, `exhausted`, `nothing new`, a rule's or the optimizer's.

    Args:
        optimizer: before its first `ask`.
        visited: empty; its space gives the optimizer's gene values their meaning, and may leave out options of the
            problem's own.
        source: of the evaluations, which it also records.
        values: empty; takes the values of all rows.
        evaluations: distinct genomes to evaluate at most; the last batch is cut to end there exactly.
        advance: called with the number of new evaluations.
        stopping: called with each batch; a text ends the search.

    Raises:
        EvaluationError: not one network of the first batch could be evaluated, or the problem breaks its contract.
    """
    generation = idle = 0
    stop_reason = ""
    while not stop_reason:
        genes = optimizer.ask()
        if not len(genes):
            stop_reason = optimizer.stop_reason or "exhausted"
            break
        before = len(visited)
        rows, fresh = visited.add(genes)
        new = genes[fresh][: evaluations - before]
        idle = 0 if len(new) else idle + 1
        if len(new):
            batch = source.evaluate(visited.space.decode(new), generation, advance)
            source.record(batch)
            values.add(batch)
            generation += 1
            stop_reason = stopping(batch)
        if stop_reason:
            break
        if len(visited) >= evaluations:
            stop_reason = "budget"
        elif visited.full:
            stop_reason = "exhausted"
        elif idle >= IDLE_ASKS:
            stop_reason = "nothing new"
        else:
            optimizer.tell_with_limits(genes, *values.of(rows))
    return stop_reason
