"""One call from problems and algorithms to a comparison."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from evo_qnas.archive.locking import sole_writer
from evo_qnas.compare.case import Case
from evo_qnas.compare.comparison import Comparison, Result
from evo_qnas.compare.elsewhere import Elsewhere, is_results, problem_of_results
from evo_qnas.compare.entries import Entry, baseline_of, check_names, entries_of, with_seeding
from evo_qnas.compare.files import save_comparison
from evo_qnas.compare.indicators import Reference, measure, reference_of
from evo_qnas.compare.runs import Run, make_runs
from evo_qnas.errors import ArchiveError, SearchError
from evo_qnas.jobs import connected
from evo_qnas.problem import Problem


def compare(
    problem: Any,
    algorithms: Any = ("nsga2", "random"),
    *,
    seeds: int | Sequence[int] = 10,
    evaluations: int = 5_000,
    path: str | Path | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    against: str | None = None,
    seeding: str = "default",
    baseline: bool = True,
    noisy: bool = False,
    progress: bool | None = None,
    skipped: Mapping[str, str] | None = None,
    command: str = "",
) -> Comparison:
    """Algorithms side by side: equal problems, seeds and evaluation budgets, indicators and statistics.

    With a `path` each run is an archive there, and the same call goes on after an interruption. More algorithms, seeds
    or problems reuse what is there; so do fewer evaluations, while more of them go on where the runs ended.

    Args:
        problem: a `Problem`, a pymoo problem, a `Case`, a sequence of these, or a mapping from names to them; or a
            mapping from names to results that were made elsewhere, without a problem.
        algorithms: see `entries_of`: names, classes with `ask` and `tell`, configured pymoo algorithms, or a mapping
            from names to these, to `{"algorithm": .., "population": .., "seeding": ..}`, or to results that were made
            elsewhere: an archive or a matrix of objectives in the order of their evaluation, or a list of these, one
            for each seed.
        seeds: how many (0, 1, ..), or which.
        evaluations: distinct networks that each run may evaluate.
        path: results folder; None keeps everything in memory.
        jobs: processes, -1 for one per core or for all workers of the cluster; changes nothing but seconds.
        cluster: whose workers make the runs, see `evo_qnas.jobs.connected`; None is this machine.
        seeding: `all` gives seeds and reduced options to every algorithm, pymoo objects and classes of one's own among
            them; `none` to none; `default` leaves it to each: named algorithms have them, others do not. Each row of
            the results says what its run had.
        baseline: add random search without seeds and with all options as a yardstick, which is not tested or ranked,
            unless there is one among the algorithms; it costs as many evaluations as an algorithm.
        noisy: equal networks may get unequal values, see `search`.
        against: test all others against this one; None tests every pair.
        progress: draw a bar on stderr; None draws it on a terminal.
        skipped: names and reasons of problems that the caller left out, for the summary.
        command: how the comparison was asked for, for its files.

    Raises:
        SearchError: an argument is out of range, or an algorithm is unknown.
        ArchiveError: a file in the folder belongs to another search, or to an objective that has changed since; or
            another process works there.
        JobError: the cluster cannot be used, or went away.

    Example:
        >>> from evo_qnas.tables import Tables
        >>> from evo_qnas.problem import TableProblem
        >>> tables = Tables.from_arrays({"score": [np.array([1.0, 0.5])] * 6, "size_bytes": [np.array([4.0, 8.0])] * 6})
        >>> found = compare(TableProblem(tables), ["nsga2", "random"], seeds=2, evaluations=30)
        >>> found.to_dataframe()[["algorithm", "seed", "seeds", "exact_points_found"]].values.tolist()[::2]
        [['nsga2', 0, 2, 7], ['random', 0, 2, 7], ['random-unseeded', 0, 0, 7]]
    """
    if isinstance(problem, Mapping) and problem and all(is_results(value) for value in problem.values()):
        problem, algorithms = problem_of_results(problem), problem
    cases = cases_of(problem)
    entries = with_seeding(entries_of(algorithms), seeding)
    yardstick = baseline_of(entries) if baseline else None
    numbers = _seeds(seeds)
    made = [len(entry.algorithm) for entry in entries if isinstance(entry.algorithm, Elsewhere)]
    if len(made) == len(entries):
        numbers, yardstick = numbers[: max(made)] if len(numbers) >= max(made) else tuple(range(max(made))), None
    _check(entries, evaluations, against)
    folder = None if path is None else Path(path)
    with ExitStack() as alone:
        if folder is not None:
            alone.enter_context(sole_writer(folder, ArchiveError))
        with connected(cluster):
            runs = make_runs(
                cases,
                entries if yardstick is None else (*entries, yardstick),
                numbers,
                evaluations=int(evaluations),
                folder=folder,
                jobs=jobs,
                progress=progress,
                noisy=noisy,
            )
        references, results = _judged(cases, runs, yardstick, int(evaluations))
        comparison = Comparison(
            cases=cases,
            entries=entries,
            baseline=yardstick,
            seeding=seeding,
            seeds=numbers,
            evaluations=int(evaluations),
            references=references,
            results=tuple(results),
            against=against,
            skipped=MappingProxyType(dict(skipped or {})),
            command=command,
        )
        if folder is not None:
            save_comparison(comparison, folder)
    return comparison


def _check(entries: Sequence[Entry], evaluations: Any, against: str | None) -> None:
    """Refuses a budget that is none, and an unknown algorithm to test against."""
    if not isinstance(evaluations, int | np.integer) or isinstance(evaluations, bool) or evaluations < 1:
        raise SearchError(f"evaluations must be a whole number of at least 1, got {evaluations!r}")
    names = [entry.name for entry in entries]
    if against is not None and against not in names:
        raise SearchError(f"against = {against!r} is none of the compared algorithms: {', '.join(names)}")


def _judged(
    cases: Sequence[Case], runs: Sequence[Run], yardstick: Entry | None, evaluations: int
) -> tuple[Mapping[str, Reference], list[Result]]:
    """The reference of each case, and what each run is worth by it; the yardstick moves no number of the algorithms."""
    references: dict[str, Reference] = {}
    results = []
    for case in cases:
        mine = [run for run in runs if run.case == case.name]
        judging = [run for run in mine if yardstick is None or run.entry != yardstick.name]
        references[case.name] = reference_of(case.known_front(), judging)
        budget = case.budget(evaluations)
        results += [Result(run=run, quality=measure(run, references[case.name], budget)) for run in mine]
    return MappingProxyType(references), results


def cases_of(problem: Any) -> tuple[Case, ...]:
    """The cases that a user means.

    Raises:
        SearchError: there is none, or a name is there twice.
    """
    if isinstance(problem, Mapping):
        cases = tuple(_case(item, str(name)) for name, item in problem.items())
    elif isinstance(problem, Sequence):
        single = len(problem) == 1
        cases = tuple(_case(item, "problem" if single else f"problem{index}") for index, item in enumerate(problem))
    else:
        cases = (_case(problem, "problem"),)
    check_names("problem", [case.name for case in cases])
    return cases


def _case(item: Any, name: str) -> Case:
    if isinstance(item, Case):
        return item
    if isinstance(item, Problem):
        return Case(name=name, problem=item)
    from evo_qnas.problem import from_pymoo

    return Case(name=name, problem=from_pymoo(item))


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds, each once."""
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        if seeds < 1:
            raise SearchError(f"seeds must be at least 1, got {seeds}")
        return tuple(range(int(seeds)))
    numbers = tuple(int(seed) for seed in seeds) if isinstance(seeds, Sequence) else ()
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise SearchError(f"seeds must be a number of seeds, or different whole numbers from 0, got {seeds!r}")
    return numbers
