"""Any algorithm as an object that is asked for networks and told their values."""

import logging
import os
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive import Archive, Recorder
from evo_qnas.archive.outside import checked_genomes, checked_values, told_evaluations
from evo_qnas.problem import Problem
from evo_qnas.search.ask_tell.course import Course
from evo_qnas.search.ask_tell.replaying import replay
from evo_qnas.search.setup import check_settings, prepared, problem_of
from evo_qnas.search.variation import Recipe

logger = logging.getLogger(__name__)
_NO_NUMBER = "no number was told"


@final
class AskTellOptimizer:
    """A search whose evaluations are made elsewhere, in any order and at any time; made by `optimizer`.

    May be used from several threads. As a context manager it is closed at the end of the block.
    """

    def __init__(self, problem: Problem, course: Course, recorder: Recorder) -> None:
        self.problem = problem
        self._course = course
        self._recorder = recorder
        self._lock = threading.RLock()
        known = replay(course, recorder)
        self._start = time.perf_counter() - float(known.seconds.max(initial=0.0))
        weakref.finalize(self, _closed, recorder, os.getpid())

    def ask(self, n: int = 1) -> Int[np.ndarray, "got blocks"]:
        """Up to `n` genomes to evaluate, none of them handed out before; see `Course` for what is asked for when.

        No row means: nothing is left to try (`stop_reason` says why), or nothing until pending answers come.

        Raises:
            SearchError: `n` is no whole number of at least 1.
            ArchiveError: the disk is full.
        """
        check_settings(n=n)
        with self._lock:
            self._recorder.ask(int(n))
            return self._course.ask(int(n))

    def tell(self, genomes: Any, objectives: Any, constraints: Any = None) -> None:
        """Takes the values of networks, asked for or not, some or all of them, in any order; they are on the disk then.

        Networks that were never asked for are known from now on, and of use to algorithms that can learn from them. Of
        a network that is told twice the first values stay.

        Args:
            genomes: (n, blocks) whole numbers; one genome may come as one row.
            objectives: (n, m), each in its own direction, as `Archive.objectives` has them: a maximised objective as it
                is, not negated as `Problem.evaluate` gives it. NaN where the evaluation failed.
            constraints: (n, k) excesses, met where <= 0, as `Problem.evaluate` gives them; may be left out where the
                problem has none or knows them without an evaluation (columns of tables).

        Raises:
            ProblemError: a genome is none of the problem's, or the values have another shape or are no numbers; nothing
                is taken then.
            ArchiveError: the disk is full.
        """
        checked = checked_genomes(genomes, "tell")
        self.problem.space.encode(checked)
        values, excess = checked_values(self.problem, checked, objectives, constraints, "tell")
        with self._lock:
            keys = [genome.tobytes() for genome in checked]
            first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
            rows = np.array(
                sorted(at for key, at in first.items() if not self._course.is_answered(key)), dtype=np.int64
            )
            if len(rows) < len(keys):
                logger.info("%d networks were told before: their first values stay", len(keys) - len(rows))
            if not len(rows):
                return
            outside = [row for row in rows.tolist() if not self._course.is_pending(keys[row])]
            if outside:
                self._recorder.ask(-len(rows))
            self._record(checked[rows], values[rows], excess[rows])
            for row in rows.tolist():
                self._course.answer(keys[row], values[row], excess[row])

    def _record(
        self,
        genomes: Int[np.ndarray, "n blocks"],
        objectives: Float[np.ndarray, "n m"],
        excess: Float[np.ndarray, "n k"],
    ) -> None:
        """Writes evaluations to the journal at once."""
        batch = told_evaluations(
            genomes,
            objectives,
            excess,
            reason=_NO_NUMBER,
            generation=self._course.generation,
            seconds=time.perf_counter() - self._start,
        )
        self._recorder.append(batch)
        self._recorder.flush()

    @property
    def pending(self) -> Int[np.ndarray, "n blocks"]:
        """Genomes that were handed out and not told, in order; opened again, a search hands them out first."""
        with self._lock:
            return self._course.pending

    @property
    def stop_reason(self) -> str:
        """The reason for which nothing more is handed out: `budget`, `exhausted`, ..; empty before."""
        return self._course.stop_reason

    @property
    def archive(self) -> Archive:
        """Everything that was told so far, with its front."""
        with self._lock:
            return self._recorder.snapshot()

    def __len__(self) -> int:
        """Networks that were told."""
        return len(self._recorder)

    def __repr__(self) -> str:
        header = self._recorder.header
        return f"AskTellOptimizer({header.algorithm}: {len(self)} networks told, {len(self.pending)} pending)"

    def finish(self) -> Archive:
        """Writes the archive as finished and lets its file go; the optimizer cannot be used after it."""
        with self._lock:
            return self._recorder.finish({"ending": self.stop_reason or "finished by its user"})

    def close(self) -> None:
        """Saves the archive and lets its file go; the same call of `optimizer` goes on from it."""
        with self._lock:
            self._recorder.close()

    def __enter__(self) -> "AskTellOptimizer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _closed(recorder: Recorder, process: int) -> None:
    """Saves what is known where the optimizer is forgotten; not in a process that was forked."""
    if os.getpid() == process:
        recorder.close()


def optimizer(
    problem: Any,
    algorithm: Any = "nsga2",
    *,
    seed: int = 0,
    path: str | Path | None = None,
    evaluations: int | None = None,
    population: int = 100,
    seeding: bool = True,
    reduce: bool = True,
    variation: str | Recipe = "default",
    resume: bool = True,
) -> AskTellOptimizer:
    """A search whose evaluations are made elsewhere: `ask(n)` gives genomes, `tell(genomes, objectives)` takes values.

    Answers may come in any order and some never. With a `path` every answer is on the disk when `tell` returns; the
    same call after a kill goes on from there, and hands out first what was pending. The course is a function of
    problem, settings, seed, and the order of asks and answers. Where each generation is answered before more is asked
    for, it is that of `search`.

    Args:
        problem: a `Problem` (`DeclaredProblem` has names and choices only), or a pymoo problem.
        algorithm: see `search`.
        seed: of all random numbers.
        path: where the archive lies, and what the search is resumed from; None keeps it in memory.
        evaluations: networks that are handed out at most; None for no end. May grow from one run to the next.
        population: see `search`; at least twice as many as workers keeps random networks out.
        seeding: see `search`.
        reduce: see `search`.
        variation: see `search`.
        resume: go on from an archive at `path`; False starts it anew.

    Raises:
        SearchError: a setting is out of range, or the algorithm is unknown or does not fit the problem.
        InfeasibleError: additive limits that no network meets.
        ArchiveError: the archive is of another search, or another process or object of this one is writing it.

    Example:
        >>> from evo_qnas import Tables, TableProblem
        >>> tables = Tables.from_arrays({"score": [np.array([1.0, 0.5])] * 3, "size_bytes": [np.array([4.0, 8.0])] * 3})
        >>> asked = optimizer(TableProblem(tables), "random", seeding=False)
        >>> genomes = asked.ask(2)
        >>> asked.tell(genomes[1], [[1.5, 20.0]])
        >>> len(asked), len(asked.pending), asked.archive.front.objectives.tolist()
        (1, 1, [[1.5, 20.0]])
    """
    problem = problem_of(problem)
    ready = prepared(
        problem,
        algorithm,
        evaluations=evaluations,
        population=population,
        seed=seed,
        seeding=seeding,
        reduce=reduce,
        variation=variation,
        answers="told",
    )
    course = Course(ready.optimizer, ready.context, budget=ready.evaluations, fills=not ready.complete)
    recorder = Recorder.open(path, ready.header, resume=resume)
    try:
        return AskTellOptimizer(problem, course, recorder)
    except BaseException:
        recorder.close()
        raise
