"""The asynchronous search loop: a worker that has answered gets its next network at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from jaxtyping import Int

from evo_qnas.archive import Archive, Evaluations, Recorder
from evo_qnas.errors import ArchiveError, EvaluationError
from evo_qnas.problem import Evaluator, Outcome, Problem, evaluate_batches
from evo_qnas.problem.outcome import OK
from evo_qnas.search.ask_tell.course import Course
from evo_qnas.search.ask_tell.replaying import replay
from evo_qnas.search.setup import Prepared, prepared
from evo_qnas.search.stopping import Stopping
from evo_qnas.search.values import Values
from evo_qnas.search.variation import Recipe


@final
@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a search that is about to begin.

    Attributes:
        ready: algorithm and context.
        problem: evaluated.
        recorder: of the archive.
        stopping: rules that end the search, asked after each population of answers.
        advance: called with the number of new evaluations.
        known: evaluations that need not be made.
    """

    ready: Prepared
    problem: Problem
    recorder: Recorder
    stopping: Stopping
    advance: Callable[[int], None]
    known: Evaluations | None = None


def run_asynchronously(parts: Parts, values: Values, *, evaluations: int, jobs: int) -> str:
    """Runs a search to its end and gives the reason, see `evo_qnas.search.loop.run`.

    Args:
        parts: of the search.
        values: empty; takes the values of all rows.
        evaluations: distinct networks to evaluate at most.
        jobs: processes; a larger number of the problem's functions wins.

    Raises:
        EvaluationError: not one of the first networks could be evaluated, or the problem breaks its contract.
        ArchiveError: the disk is full, or the archive cannot be continued.
        JobError: the cluster went away.
    """
    course = course_of(parts.ready)
    with Evaluator(parts.problem, jobs=jobs) as evaluator:
        reason = _Loop(parts, course, evaluator, evaluations=evaluations).run()
    values.add(parts.recorder.snapshot().evaluations)
    return reason


def course_of(ready: Prepared) -> Course:
    """The course of an asynchronous search; its end is decided outside it, so that it may go on."""
    return Course(ready.optimizer, ready.context, budget=None, fills=not ready.complete, steady=True)


def unbroken_replay(problem: Problem, archive: Archive) -> Archive:
    """The archive of a search without a break whose answers come in the recorded order, every network evaluated anew.

    It is what resuming promises: kills and resumptions leave the archive of an unbroken search in which each answer
    came when it came (but for measured times).

    Args:
        problem: the archive's.
        archive: of an asynchronous search with an algorithm by name.

    Raises:
        ArchiveError: the search would ask for other networks than the archive has.
    """
    settings = archive.header.settings
    ready = prepared(
        problem,
        archive.header.algorithm,
        evaluations=settings["evaluations"],
        population=settings["population"],
        seed=archive.header.seed or 0,
        seeding=settings["seeding"],
        reduce=settings["reduce"],
        variation=Recipe.model_validate(settings["variation"]),
        asynchronous=True,
    )
    course, genomes, at = course_of(ready), archive.genomes, 0
    with Recorder.open(None, ready.header) as recorder:
        for count, networks in [*archive.asks.tolist(), [len(archive), None]]:
            for genome in genomes[at:count]:
                if not course.is_pending(genome.tobytes()):
                    raise ArchiveError(f"evaluation {len(recorder)} is of a network that is not asked for in a replay")
                (outcome,) = evaluate_batches(problem, genome[None])
                recorder.append(_evaluation(genome[None], outcome, course.generation, 0.0))
                course.answer(genome.tobytes(), outcome.objectives[0], outcome.constraints[0])
            at = max(at, count)
            if networks is None:
                break
            recorder.ask(networks)
            if networks:
                course.ask(networks)
            else:
                course.reopen()
        return recorder.finish({"ending": "replayed"})


def _evaluation(genome: Int[np.ndarray, "1 blocks"], outcome: Outcome, generation: int, seconds: float) -> Evaluations:
    """One evaluation as the archive has it."""
    return Evaluations(
        genomes=genome,
        objectives=outcome.objectives,
        constraints=outcome.constraints,
        generation=np.array([generation], dtype=np.int32),
        seconds=np.array([seconds]),
        state=outcome.state,
        reasons=outcome.reasons,
    )


@final
class _Loop:
    """Asks, evaluates and tells without waiting for a generation.

    The course is a function of problem, settings, seed, and the order in which networks are asked for and answered,
    which the archive keeps (`Contents.asks`). A search that is resumed goes through that order again, then hands out
    what was under way, and goes on.
    """

    def __init__(self, parts: Parts, course: Course, evaluator: Evaluator, *, evaluations: int) -> None:
        """Goes through what an earlier run recorded.

        Args:
            parts: of the search.
            course: before its first ask.
            evaluator: of the problem; its capacity is the number of networks that are under way.
            evaluations: distinct networks to evaluate at most.

        Raises:
            ArchiveError: the course asks for other networks than the archive has.
        """
        self._course = course
        self._recorder = parts.recorder
        self._evaluator = evaluator
        self._evaluations = evaluations
        self._batch = parts.ready.context.population
        self._stopping = parts.stopping
        self._advance = parts.advance
        recorded = replay(course, parts.recorder)
        self._start = time.perf_counter() - float(recorded.seconds.max(initial=0.0))
        self._good = bool((recorded.state == OK).any())
        self._first = ""
        self._unchecked = [recorded] if len(recorded) else []
        self._known = {} if parts.known is None else _by_genome(parts.known)
        parts.advance(len(recorded))

    def run(self) -> str:
        """Runs the search to its end and gives the reason."""
        reason = self._checked() if self._unchecked else ""
        while not reason:
            self._hand_out()
            if not len(self._evaluator):
                reason = "budget" if len(self._recorder) >= self._evaluations else self._course.stop_reason
                break
            for genome, outcome in self._evaluator.outcomes():
                seconds = time.perf_counter() - self._start
                self._take(_evaluation(genome, outcome, self._course.generation, seconds))
            self._check_first()
            if self._stopping.out_of_time or len(self._unchecked) >= self._batch:
                reason = self._checked()
        return reason or "exhausted"

    def _hand_out(self) -> None:
        """Gives free workers networks, as far as there are any."""
        while True:
            under_way = len(self._evaluator)
            left = self._evaluations - len(self._recorder) - under_way
            free = min(self._evaluator.capacity - under_way, left)
            if free < 1:
                return
            self._recorder.ask(free)
            genomes = self._course.ask(free)
            if not len(genomes):
                return
            for genome in genomes:
                known = self._known.get(genome.tobytes())
                if known is None:
                    self._evaluator.submit(genome)
                else:
                    self._take(self._again(known))

    def _again(self, known: Evaluations) -> Evaluations:
        """A known evaluation as one of this search."""
        generation = np.array([self._course.generation], dtype=np.int32)
        return replace(known, generation=generation, seconds=np.array([time.perf_counter() - self._start]))

    def _take(self, evaluation: Evaluations) -> None:
        """Records an answer, then tells it to the algorithm."""
        self._recorder.append(evaluation)
        key = evaluation.genomes[0].astype(np.int64, copy=False).tobytes()
        self._course.answer(key, evaluation.objectives[0], evaluation.constraints[0])
        self._unchecked.append(evaluation)
        self._good = self._good or bool(evaluation.state[0] == OK)
        self._first = self._first or evaluation.reasons.get(0, "")
        self._advance(1)

    def _check_first(self) -> None:
        """Refuses a problem of which no network can be evaluated."""
        tried = len(self._recorder)
        if not self._good and tried >= min(self._batch, self._evaluations):
            raise EvaluationError(f"not one of {tried} networks could be evaluated: {self._first}")

    def _checked(self) -> str:
        """The reason to end after the answers since the last check; empty to go on."""
        batch, self._unchecked = Evaluations.joined(self._unchecked), []
        return self._stopping.after(batch, self._recorder.snapshot)


def _by_genome(known: Evaluations) -> dict[bytes, Evaluations]:
    rows = {genome.astype(np.int64).tobytes(): row for row, genome in reversed(list(enumerate(known.genomes)))}
    return {genome: known.rows(row, row + 1) for genome, row in rows.items()}
