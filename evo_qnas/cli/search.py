"""`evo-qnas search`: one search over tables."""

from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.extras import must_be_hdf5

_EPILOG = (
    "Example: evo-qnas search tables.h5 --objective score --objective size_bytes "
    "--constraint 'latency_ms <= 4' -o results/first.h5"
)


def register(app: typer.Typer) -> None:
    """Adds the verb to the command line."""
    app.command(name="search", epilog=_EPILOG)(search)


def search(
    tables: Annotated[Path, typer.Argument(help="Tables (HDF5).", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive; the same command resumes it.")],
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Column, mean:, max: or worst:column, module:function; repeat. [default: score, size_bytes]",
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="Limit such as 'latency_ms <= 4' or module:function; repeat."),
    ] = None,
    algorithm: Annotated[str, typer.Option(help="A name of `evo-qnas list algorithms`.")] = "nsga2",
    evaluations: Annotated[int, typer.Option(help="Distinct networks to evaluate at most.")] = 20_000,
    population: Annotated[
        str, typer.Option(help="Networks kept and asked for at once; auto follows the budget.")
    ] = "100",
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    variation: Annotated[str, typer.Option(help="Recipe of operators/variation/, by name or file.")] = "default",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes for slow objectives. [default: 1, or all workers of the cluster]"),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Slow objectives on the workers of dask://host:port.")
    ] = None,
    asynchronous: Annotated[
        bool, typer.Option("--asynchronous", help="No worker waits for its generation; for times that differ.")
    ] = False,
    until: Annotated[
        list[str] | None,
        typer.Option(metavar="RULE", help="End at 'hypervolume >= 0.999' of the optimum, 'front >= 50', ..; repeat."),
    ] = None,
    plateau: Annotated[
        int | None, typer.Option(help="End once so many evaluations have added hardly any hypervolume.")
    ] = None,
    time_limit: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
    noisy: Annotated[bool, typer.Option("--noisy", help="Equal networks may get unequal values.")] = False,
    seeding: Annotated[bool, typer.Option(help="Start from baselines, uniform bits and weighted-sum optima.")] = True,
    reduce: Annotated[
        bool, typer.Option(help="Leave out choices that no optimum of additive objectives needs.")
    ] = True,
    restart: Annotated[bool, typer.Option("--restart", help="Start the archive anew instead of resuming it.")] = False,
    top: Annotated[int, typer.Option(help="Rows of the front to print.")] = 10,
) -> None:
    """Searches TABLES for its Pareto front; the archive is written to OUTPUT and resumed by the same command."""
    from evo_qnas.problem import TableProblem
    from evo_qnas.search import search as run_search
    from evo_qnas.search.summary import summary
    from evo_qnas.tables import Tables
    from evo_qnas.terminal import say_text

    must_be_hdf5(output, "archives")
    problem = TableProblem(
        Tables.load(tables), objectives=objective or ["score", "size_bytes"], constraints=constraint or []
    )
    archive = run_search(
        problem,
        algorithm=algorithm,
        evaluations=evaluations,
        population=int(population) if population.isdigit() else population,
        seed=seed,
        path=output,
        until=until or (),
        plateau=plateau,
        time_limit=time_limit,
        noisy=noisy,
        seeding=seeding,
        reduce=reduce,
        variation=variation,
        jobs=jobs,
        cluster=cluster,
        asynchronous=asynchronous,
        resume=not restart,
    )
    say_text(summary(archive, problem, rows=top))
