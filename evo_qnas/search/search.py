"""One call from a problem to an archive."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from evo_qnas.archive import Archive, Header, Recorder
from evo_qnas.errors import SearchError
from evo_qnas.jobs import connected
from evo_qnas.pareto import exact_front, require_feasible
from evo_qnas.problem import Problem
from evo_qnas.progress import progress_bar
from evo_qnas.search.algorithms import make_optimizer
from evo_qnas.search.exact import Exact
from evo_qnas.search.loop import Values, run
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.reduction import Reduction, all_sums, useful_options
from evo_qnas.search.seeding import seed_genes
from evo_qnas.search.seen import Seen
from evo_qnas.search.surrogate import Surrogate
from evo_qnas.search.variation import Recipe, Variation, load_recipe

logger = logging.getLogger(__name__)

# Where all is additive, optima of weighted sums lie on the front; elsewhere they are only a start.
_SEEDS_PER_MEMBER = {True: 20, False: 4}
# A front of three objectives or more has room for more, which `nsga2` takes at its full speed. Chosen by measuring on
# generated tables (benchmarks/search_speed.py).
_MANY_SEEDS_PER_MEMBER = 180


def search(
    problem: Any,
    *,
    algorithm: Any = "nsga2",
    evaluations: int = 20_000,
    population: int = 100,
    seed: int = 0,
    path: str | Path | None = None,
    seeding: bool = True,
    reduce: bool = True,
    variation: str | Recipe = "default",
    jobs: int | None = None,
    cluster: str | None = None,
    resume: bool = True,
    progress: bool | None = None,
) -> Archive:
    """The archive of one search: every evaluation in order, and the front of all of them.

    The course of a search is a function of problem, settings and seed. Called again with the same `path` it runs
    again from its seed and takes what it knows from the archive, so that an interrupted search ends bit for bit like an
    unbroken one, and a finished one goes on where `evaluations` grew.

    Args:
        problem: a `Problem`, or a pymoo problem of integer, binary or choice variables.
        algorithm: a name of `ALGORITHMS`, or a configured pymoo algorithm, which stays as it is.
        evaluations: distinct networks to evaluate, at most; `exact` records its whole front however large.
        population: networks kept, and asked for at once.
        seed: of all random numbers.
        path: where the archive lies; None keeps it in memory.
        seeding: start from baselines, uniform bits and optima of weighted sums, where the problem has them.
        reduce: leave out options that another option of their gene beats in every sum, where all is additive.
        variation: name or file of a recipe of `operators/variation/`, or the recipe.
        jobs: processes for slow objectives; None for one, or all workers of the cluster. Changes nothing but the time.
        cluster: whose workers take slow objectives, see `evo_qnas.jobs.connected`; None is this machine.
        resume: go on from an archive at `path`; False starts it anew.
        progress: draw a bar on stderr; None draws it on a terminal.

    Raises:
        SearchError: a setting is out of range, or the algorithm is unknown or does not fit the problem.
        InfeasibleError: additive limits that no network meets.
        EvaluationError: not one network of the first batch could be evaluated.
        ArchiveError: the archive belongs to another search, or cannot be written.
        JobError: the cluster cannot be used, or went away.

    Example:
        >>> from evo_qnas import Tables, TableProblem
        >>> tables = Tables.from_arrays({"score": [np.array([1.0, 0.5])] * 3, "size_bytes": [np.array([4.0, 8.0])] * 3})
        >>> archive = search(TableProblem(tables), evaluations=100)
        >>> archive.front.objectives.tolist()
        [[1.5, 24.0], [2.0, 20.0], [2.5, 16.0], [3.0, 12.0]]
    """
    problem = _as_problem(problem)
    _check_settings(evaluations=evaluations, population=population, jobs=1 if jobs is None else jobs, seed=seed)
    recipe = variation if isinstance(variation, Recipe) else load_recipe(variation)
    header = Header(
        problem=problem.describe(),
        tables=problem.tables,
        blocks=problem.space.blocks,
        objectives=problem.objectives,
        constraints=problem.constraints,
        algorithm=algorithm if isinstance(algorithm, str) else f"pymoo:{type(algorithm).__name__}",
        settings={
            "evaluations": evaluations,
            "population": population,
            "seeding": seeding,
            "reduce": reduce,
            "variation": recipe.model_dump(),
        },
        seed=seed,
        fingerprint=problem.fingerprint,
    )
    _check_limits(problem)
    optimizer, seen = _prepare(
        problem, algorithm, population=population, seed=seed, seeding=seeding, reduce=reduce, recipe=recipe
    )
    if isinstance(optimizer, Exact):
        evaluations = max(evaluations, len(optimizer))
        header = replace(header, settings={**header.settings, "evaluations": evaluations})
    with (
        connected(cluster) as there,
        Recorder.open(path, header, resume=resume) as recorder,
        progress_bar(f"search ({header.algorithm})", min(evaluations, seen.space.size), show=progress) as advance,
    ):
        values = Values(len(problem.objectives))
        ending = run(
            optimizer, seen, problem, recorder, values, evaluations=evaluations, jobs=jobs or there, advance=advance
        )
        archive = recorder.finish({"ending": ending, "least_violating": values.least_violating})
    _say(archive, ending)
    return archive


def _as_problem(problem: Any) -> Problem:
    """The problem, or a pymoo problem as one of ours."""
    if isinstance(problem, Problem):
        return problem
    from evo_qnas.problem import from_pymoo

    return from_pymoo(problem)


def _check_settings(**settings: Any) -> None:
    """Refuses settings that are no whole number, or too small."""
    for name, value in settings.items():
        least = 0 if name == "seed" else 1
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise SearchError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _check_limits(problem: Problem) -> None:
    """Refuses additive limits that no network meets before anything is evaluated."""
    additive = problem.additive_part
    if additive is not None and len(additive.bounds):
        require_feasible(additive)


def _prepare(
    problem: Problem,
    algorithm: Any,
    *,
    population: int,
    seed: int,
    seeding: bool,
    reduce: bool,
    recipe: Recipe,
) -> tuple[Optimizer, Seen]:
    """The algorithm, and the empty record of what it meets in the space that it searches."""
    rng = np.random.default_rng(seed)
    if isinstance(algorithm, str) and algorithm == "exact":
        return Exact(problem.space.encode(exact_front(problem).genomes)), Seen(problem.space)
    space = problem.space
    sums = () if problem.additive is None else all_sums(problem.additive)
    useful = useful_options(sums) if sums else None
    seeds: Int[np.ndarray, "s genes"] = np.empty((0, len(space.genes)), dtype=space.narrow)
    if seeding:
        seeds = seed_genes(problem, most=_seeds_per_member(problem, algorithm) * population, useful=useful)
    if reduce and useful is not None:
        reduction = Reduction.of(space, sums, useful)
        space, seeds = reduction.space, reduction.moved(seeds)
    if not isinstance(algorithm, str):
        from evo_qnas.search.pymoo_bridge import configured

        return configured(algorithm, problem, seed=seed), Seen(problem.space)
    if algorithm != "nsga2":
        seeds = seeds.astype(np.int64)
    seen = Seen(space)
    if algorithm == "surrogate":
        return Surrogate(problem, Variation(space, recipe), population=population, rng=rng, seeds=seeds), seen
    optimizer = make_optimizer(
        algorithm,
        space,
        objectives=len(problem.objectives),
        limits=len(problem.constraints),
        population=population,
        rng=rng,
        seeds=seeds,
        recipe=recipe,
        # Seeds of known sums know already what there is to learn.
        learn=not (seeding and problem.additive is not None),
        seen=seen,
    )
    return optimizer, seen


def _seeds_per_member(problem: Problem, algorithm: Any) -> int:
    """How many seeds there may be for each member of the population; whatever the budget, so that it can grow."""
    if problem.additive is not None and len(problem.objectives) > 2 and algorithm == "nsga2":
        return _MANY_SEEDS_PER_MEMBER
    return _SEEDS_PER_MEMBER[problem.additive is not None]


def _say(archive: Archive, ending: str) -> None:
    """Tells what a person might not expect of a search that ended."""
    if ending == "exhausted":
        logger.info("the search ended after %d evaluations: nothing was left to try", len(archive))
    elif ending == "nothing new":
        logger.warning("the search ended after %d evaluations: the algorithm proposed nothing new", len(archive))
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
