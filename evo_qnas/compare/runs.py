"""Runs of a comparison: each is one archive, made once and read again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import moocore
import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.archive import Archive, Evaluations
from evo_qnas.compare.case import Case
from evo_qnas.compare.elsewhere import Elsewhere
from evo_qnas.compare.entries import Entry
from evo_qnas.errors import ArchiveError, EvoQnasError
from evo_qnas.jobs import spread
from evo_qnas.pareto import front_mask
from evo_qnas.problem import Problem
from evo_qnas.progress import progress_bar
from evo_qnas.search import search
from evo_qnas.search.algorithms import algorithm_of, name_of
from evo_qnas.search.stored_values import check_stored_values
from evo_qnas.search.variation import load_recipe


@final
@dataclass(frozen=True, kw_only=True)
class Run:
    """The part of a search that a comparison keeps: the evaluations that no earlier one beat, in order.

    Attributes:
        case: name of the case.
        entry: name of the entry.
        seed: of the search.
        rows: (r,) int64, their positions among the evaluations, rising.
        objectives: (r, m) float64, the search's objectives, minimised.
        judged: (r, m) float64, objectives by the case's truth, NaN where that calls the network infeasible.
        seconds: (r,) float64, from the start of the search until the value was known.
        front: (r,) bool, which of them are the search's front at the end.
        evaluations: all evaluations.
        total_seconds: seconds until the last evaluation was known.
        failure: why there is no result; empty where there is one.
        reused: whether a finished archive was read instead of searching.
        seeds: starting points that the algorithm was given; None where the archive does not say.
        options_left_out: options that the algorithm could not choose, as no optimum needs them.
    """

    case: str
    entry: str
    seed: int
    rows: Int[np.ndarray, " r"]
    objectives: Float[np.ndarray, "r m"]
    judged: Float[np.ndarray, "r m"]
    seconds: Float[np.ndarray, " r"]
    front: Bool[np.ndarray, " r"]
    evaluations: int
    total_seconds: float
    failure: str = ""
    reused: bool = False
    seeds: int | None = None
    options_left_out: int | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """One run to make, as it is sent to a worker."""

    case: str
    problem: Problem
    truth: Problem | None
    entry: Entry
    seed: int
    evaluations: int
    path: Path | None
    noisy: bool = False
    number: int = 0

    def run(self) -> Run:
        """Searches, or reads the finished archive that is there.

        Raises:
            ArchiveError: the file at `path` holds another search, or values that the problem does not give now, or
                cannot be written.
        """
        if isinstance(self.entry.algorithm, Elsewhere):
            return self._extract(self.entry.algorithm.evaluations(self.number, self.problem), {}, reused=True)
        archive = self._finished()
        reused = archive is not None
        try:
            if archive is None:
                archive = search(
                    self.problem,
                    algorithm=self.entry.algorithm,
                    evaluations=self.evaluations,
                    seed=self.seed,
                    path=self.path,
                    progress=False,
                    noisy=self.noisy,
                    **self.entry.settings,
                )
        except ArchiveError:
            raise
        except EvoQnasError as error:
            return self.failed(str(error))
        return self._extract(archive.evaluations, archive.extras, reused=reused)

    def _finished(self) -> Archive | None:
        """The archive of an equal search that has come to its end with at least as many evaluations."""
        if self.path is None or not self.path.exists():
            return None
        archive = Archive.load(self.path)
        header, settings = archive.header, dict(archive.header.settings)
        expected = {**_searched(self.entry.settings), "evaluations": settings.get("evaluations")}
        same = (
            archive.finished
            and header.fingerprint == self.problem.fingerprint
            and header.seed == self.seed
            and header.algorithm == name_of(self.entry.algorithm)
            and isinstance(self.entry.algorithm, str)
            and all(settings.get(key) == value for key, value in expected.items())
        )
        enough = int(settings.get("evaluations", 0)) >= self.evaluations
        if not (same and enough):
            return None
        check_stored_values(self.problem, archive.evaluations, seed=self.seed, path=self.path, noisy=self.noisy)
        return archive

    def _extract(self, evaluations: Evaluations, extras: Mapping[str, Any], *, reused: bool) -> Run:
        """The part of the first `evaluations` evaluations that indicators need."""
        if isinstance(self.entry.algorithm, Elsewhere) or not algorithm_of(self.entry.algorithm).complete:
            evaluations = evaluations.rows(0, self.evaluations)
        feasible = np.flatnonzero(evaluations.feasible)
        objectives = evaluations.objectives[feasible]
        if len(objectives):
            # Time is one more objective: what is dominated by something earlier never counts.
            order = np.arange(len(objectives))
            first = np.flatnonzero(moocore.is_nondominated(np.column_stack([objectives, order]), keep_weakly=True))
            feasible, objectives = feasible[first], objectives[first]
        judged = objectives
        if self.truth is not None and len(objectives) and evaluations.genomes.shape[1]:
            judged, excess = self.truth.evaluate(evaluations.genomes[feasible])
            judged = np.where(np.all(excess <= 0, axis=1, keepdims=True), judged, np.nan)
        return Run(
            case=self.case,
            entry=self.entry.name,
            seed=self.seed,
            rows=feasible.astype(np.int64),
            objectives=objectives,
            judged=judged,
            seconds=evaluations.seconds[feasible],
            front=front_mask(objectives),
            evaluations=len(evaluations),
            total_seconds=float(evaluations.seconds.max(initial=0.0)),
            reused=reused,
            seeds=_count(extras.get("seeds")),
            options_left_out=_count(extras.get("options_left_out")),
        )

    def failed(self, reason: str) -> Run:
        """A run without a result."""
        m = len(self.problem.objectives)
        return Run(
            case=self.case,
            entry=self.entry.name,
            seed=self.seed,
            rows=np.empty(0, dtype=np.int64),
            objectives=np.empty((0, m)),
            judged=np.empty((0, m)),
            seconds=np.empty(0),
            front=np.empty(0, dtype=bool),
            evaluations=0,
            total_seconds=0.0,
            failure=reason,
        )


def _count(value: Any) -> int | None:
    """A number of an archive's extras."""
    return value if isinstance(value, int) else None


def _searched(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as archives hold them, defaults of `search` included."""
    chosen = {"population": 100, "seeding": True, "reduce": True, "variation": "default", **settings}
    return {**chosen, "variation": load_recipe(chosen["variation"]).model_dump()}


def run_path(folder: Path | None, case: str, entry: str, seed: int) -> Path | None:
    """The path of a run's archive."""
    return None if folder is None else folder / "runs" / case / entry / f"seed-{seed:04d}.h5"


def make_runs(
    cases: Sequence[Case],
    entries: Sequence[Entry],
    seeds: Sequence[int],
    *,
    evaluations: int,
    folder: Path | None,
    jobs: int,
    progress: bool | None,
    noisy: bool = False,
) -> list[Run]:
    """All runs, sorted by case, entry and seed; finished ones of an earlier comparison in `folder` are reused.

    Args:
        cases: the problems.
        entries: the algorithms.
        seeds: of the searches, the same for every algorithm.
        evaluations: of each run, at most.
        folder: where the archives lie; None keeps everything in memory.
        jobs: processes; changes seconds only.
        progress: draw a bar on stderr; None draws it on a terminal.
        noisy: equal networks may get unequal values.
    """
    tasks = [
        Task(
            case=case.name,
            problem=case.problem,
            truth=case.truth,
            entry=entry,
            seed=seed,
            evaluations=case.budget(evaluations),
            path=run_path(folder, case.name, entry.name, seed),
            noisy=noisy,
            number=number,
        )
        for case in cases
        for entry in entries
        for number, seed in enumerate(seeds)
        if not isinstance(entry.algorithm, Elsewhere) or number < len(entry.algorithm)
    ]
    made: dict[tuple[str, str, int], Run] = {}
    with progress_bar("runs", len(tasks), show=progress) as advance:
        for run in _results(tasks, jobs):
            made[run.case, run.entry, run.seed] = run
            advance(1)
    return [made[task.case, task.entry.name, task.seed] for task in tasks]


def _results(tasks: Sequence[Task], jobs: int) -> Iterator[Run]:
    """Runs as they end, in any order."""
    names = [f"{task.case}, {task.entry.name}, seed {task.seed}" for task in tasks]
    runs = spread(_run, tasks, jobs=jobs, names=names, threads=1, lost=lambda index, why: tasks[index].failed(why))
    yield from (run for _, run in runs)


def _run(task: Task) -> Run:
    return task.run()
