"""One call from a problem to an archive."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evo_qnas.archive import Archive, Evaluations, Recorder
from evo_qnas.jobs import connected
from evo_qnas.progress import progress_bar
from evo_qnas.search.asynchronous import Parts, run_asynchronously
from evo_qnas.search.loop import Source, run
from evo_qnas.search.setup import check_settings, population_of, prepared, problem_of
from evo_qnas.search.stopping import Callback, Stopping
from evo_qnas.search.stored_values import check_stored_values
from evo_qnas.search.values import Values
from evo_qnas.search.variation import Recipe

logger = logging.getLogger(__name__)


def search(
    problem: Any,
    *,
    algorithm: Any = "nsga2",
    evaluations: int = 20_000,
    population: int | str = 100,
    seed: int = 0,
    path: str | Path | None = None,
    callback: Callback | None = None,
    time_limit: float | None = None,
    until: str | Sequence[str] = (),
    plateau: int | None = None,
    seeding: bool = True,
    reduce: bool = True,
    variation: str | Recipe = "default",
    jobs: int | None = None,
    cluster: str | None = None,
    asynchronous: bool = False,
    resume: bool = True,
    noisy: bool = False,
    known: Archive | None = None,
    progress: bool | None = None,
) -> Archive:
    """The archive of one search: every evaluation in order, and the front of all of them.

    The course of a search is a function of problem, settings and seed. Called again with the same `path` it runs
    again from its seed and takes what it knows from the archive, so that an interrupted search ends bit for bit like an
    unbroken one, and a finished one goes on where `evaluations` grew.

    An archive of another problem is refused: its fingerprint covers tables, limits, and what functions depend on
    (bytecode, closures, defaults, globals, helpers of the user's own modules, arguments and state, libraries by their
    version; see `evo_qnas.fingerprints.digest`). For what no fingerprint sees, such as a file that a function reads, up
    to 3 stored networks are evaluated again before the search goes on, and an archive with another value is refused.
    Problems of columns alone need no such evaluation; noisy ones have none.

    Args:
        problem: a `Problem`, or a pymoo problem of integer, binary or choice variables.
        algorithm: a name of `ALGORITHMS`; a class of one's own with `ask(n)` and `tell(..)` over genomes (`AskTell`),
            which is called with `(problem, seed=seed)`, or a function or partial that gives such an object; an
            `Algorithm`; an `Optimizer` over the gene values of `problem.space`; or a configured pymoo algorithm, which
            stays as it is. An `Optimizer` serves one call: resuming needs a new one that is constructed alike.
        evaluations: distinct networks to evaluate, at most; `exact` records its whole front however large.
        population: networks kept, and asked for at once; `auto` takes a tenth of the budget, from 20 to 100, and that
            of the archive at `path` where there is one.
        seed: of all random numbers.
        path: where the archive lies, and what a search is resumed from; None keeps it in memory.
        callback: called with the archive so far after each generation; True ends the search.
        time_limit: seconds after which the search ends, once a generation is evaluated.
        until: targets that end the search, all of them together: `hypervolume >= 0.999` (share of the optimum, for
            additive problems), `front >= 50`, `feasible >= 1`, or the value of an objective, `score <= 0.5`.
        plateau: ends the search once so many evaluations have added less than a ten-thousandth to the hypervolume of
            the front. None of these four changes the course: without them an archive goes on where it ended.
        seeding: start from baselines, uniform bits and optima of weighted sums, where the problem has them.
        reduce: leave out options that another option of their gene beats in every sum, where all is additive.
        variation: name or file of a recipe of `operators/variation/`, or the recipe.
        jobs: processes for slow objectives; None for one, or all workers of the cluster. Changes nothing but the time.
        cluster: whose workers take slow objectives, see `evo_qnas.jobs.connected`; None is this machine.
        asynchronous: give a worker its next network as soon as it has answered, where it would wait for the slowest of
            its generation. Pays where evaluations take unequal times; the course then depends on the order of answers
            too, which the archive keeps, so that resuming goes through it again (`docs/slow_objectives.md`). Stopping
            rules and `callback` are asked after each `population` of answers.
        resume: go on from an archive at `path`; False starts it anew.
        noisy: equal networks may get unequal values, so that stored ones are not held against new ones; `objective` and
            `from_pymoo` can say the same of theirs.
        known: evaluations of an earlier search or from elsewhere (`Archive.from_evaluations`), of the same objectives
            and limits: networks that it has are not evaluated again, and its front is among the seeds. An archive at
            `path` is resumed only with the same ones.
        progress: draw a bar on stderr; None draws it on a terminal.

    Raises:
        SearchError: a setting is out of range, or the algorithm is unknown or does not fit the problem.
        PluginError: another package's algorithm cannot be imported.
        InfeasibleError: additive limits that no network meets.
        EvaluationError: not one network of the first batch could be evaluated.
        ArchiveError: the archive belongs to another search, holds another value than the problem gives now, or cannot
            be written.
        JobError: the cluster cannot be used, or went away.

    Example:
        >>> import numpy as np
        >>> from evo_qnas import Tables, TableProblem
        >>> tables = Tables.from_arrays({"score": [np.array([1.0, 0.5])] * 3, "size_bytes": [np.array([4.0, 8.0])] * 3})
        >>> archive = search(TableProblem(tables), evaluations=100)
        >>> archive.front.objectives.tolist()
        [[1.5, 24.0], [2.0, 20.0], [2.5, 16.0], [3.0, 12.0]]
    """
    problem = problem_of(problem)
    check_settings(evaluations=evaluations, jobs=1 if jobs is None else jobs)
    ready = prepared(
        problem,
        algorithm,
        evaluations=evaluations,
        population=population_of(population, evaluations, path if resume else None),
        seed=seed,
        seeding=seeding,
        reduce=reduce,
        variation=variation,
        known=known,
        **({"asynchronous": True} if asynchronous else {}),
    )
    rules = Stopping(problem, until=until, plateau=plateau, time_limit=time_limit, callback=callback)
    budget, visited = ready.evaluations or evaluations, ready.context.visited

    def check(stored: Evaluations) -> None:
        check_stored_values(problem, stored, seed=seed, path=path, noisy=noisy, jobs=jobs or there)

    with (
        connected(cluster) as there,
        Recorder.open(path, ready.header, resume=resume, check=check) as recorder,
        progress_bar(f"search ({ready.header.algorithm})", min(budget, visited.space.size), show=progress) as advance,
    ):
        values = Values(len(problem.objectives), len(problem.constraints))
        found = None if known is None else known.evaluations
        if asynchronous:
            parts = Parts(ready=ready, problem=problem, recorder=recorder, stopping=rules, advance=advance, known=found)
            stop_reason = run_asynchronously(parts, values, evaluations=budget, jobs=jobs or there)
        else:
            stop_reason = run(
                ready.optimizer,
                visited,
                Source(problem, recorder, jobs=jobs or there, known=found),
                values,
                evaluations=budget,
                advance=advance,
                stopping=lambda batch: rules.after(batch, recorder.snapshot),
            )
        archive = recorder.finish(
            {
                "ending": stop_reason,
                "least_violating": values.least_violating,
                "seeds": ready.context.taken.seeds,
                "options_left_out": ready.context.options_left_out,
            }
        )
    _say(archive, stop_reason)
    return archive


def _say(archive: Archive, stop_reason: str) -> None:
    """Tells what a person might not expect of a search that ended."""
    if stop_reason == "exhausted":
        logger.info("the search ended after %d evaluations: nothing was left to try", len(archive))
    elif stop_reason == "nothing new":
        logger.warning("the search ended after %d evaluations: the algorithm proposed nothing new", len(archive))
    elif stop_reason != "budget":
        logger.info("the search ended after %d evaluations: %s", len(archive), stop_reason)
    if not len(archive.front):
        logger.warning("no network met every limit: %s", least_violating_text(archive))


def least_violating_text(archive: Archive) -> str:
    """A sentence about the network that came nearest to the limits, for an archive whose front is empty."""
    row = least_violating_row(archive)
    if row is None:
        return "every evaluation failed"
    excess = archive.constraints[row]
    parts = [
        f"{info.name} is off by {value:.4g}{'' if info.unit == '1' else ' ' + info.unit}"
        for info, value in zip(archive.header.constraints, excess, strict=True)
        if value > 0
    ]
    return (
        f"the least violating network is evaluation {row}, genome {archive.genomes[row].tolist()}: {'; '.join(parts)}"
    )


def least_violating_row(archive: Archive) -> int | None:
    """The row of the network that came nearest to the limits; None where none was evaluated."""
    row = archive.extras.get("least_violating", -1)
    return row if isinstance(row, int) and row >= 0 else None
