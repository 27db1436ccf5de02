"""`evo-qnas search`: one search over tables."""

from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.groups import SEARCHES
from evo_qnas.cli.help_pages import OUTPUT, Verb
from evo_qnas.cli.options import PROCESSORS, AsJson, Cluster, Quiet, Verbose
from evo_qnas.cli.paths import load_tables, must_be_hdf5

_HELP = """Searches tables for their Pareto front.

Every evaluation is written to the archive; the same command resumes it.

Examples:

  evo-qnas search tables.h5 --objective score --objective size_bytes --constraint 'latency_ms <= 4' -o first.h5

  evo-qnas search results/digits -o more.h5 --algorithm local --evaluations 50000
"""

_SEARCHING, _ENDS = "How it is searched", "When it ends"


def register(app: typer.Typer) -> None:
    """Adds the verb to the command line."""
    app.command("search", help=_HELP, cls=Verb, rich_help_panel=SEARCHES)(search)


def search(
    tables: Annotated[Path, typer.Argument(metavar="FILE", help="tables (HDF5, CSV), or DIR")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="the archive to write or resume (HDF5)")
    ],
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="column, mean:, max: or worst:COLUMN, module:function; repeatable [default: score, size_bytes]",
            autocompletion=completion.columns,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="limit such as 'latency_ms <= 4', or module:function; repeatable"),
    ] = None,
    evaluations: Annotated[int, typer.Option(metavar="N", help="distinct networks to evaluate at most")] = 20_000,
    seed: Annotated[int, typer.Option(metavar="N", help="seed of all random numbers")] = 0,
    restart: Annotated[bool, typer.Option("--restart", help="start the archive anew instead of resuming it")] = False,
    algorithm: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="as in evo-qnas list algorithms",
            rich_help_panel=_SEARCHING,
            autocompletion=completion.algorithms,
        ),
    ] = "nsga2",
    population: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="networks kept and asked for at once; auto follows the budget",
            rich_help_panel=_SEARCHING,
        ),
    ] = "100",
    variation: Annotated[
        str,
        typer.Option(
            metavar="CARD",
            help="recipe of crossover and mutation, by name or file",
            rich_help_panel=_SEARCHING,
            autocompletion=completion.variations,
        ),
    ] = "default",
    seeding: Annotated[
        bool,
        typer.Option(help="start from baselines, uniform bits and weighted-sum optima", rich_help_panel=_SEARCHING),
    ] = True,
    reduce: Annotated[
        bool,
        typer.Option(help="leave out choices that no optimum of additive objectives needs", rich_help_panel=_SEARCHING),
    ] = True,
    noisy: Annotated[
        bool, typer.Option("--noisy", help="equal networks may get unequal values", rich_help_panel=_SEARCHING)
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="processes for slow objectives [default: 1, or all workers of the cluster]",
            rich_help_panel=PROCESSORS,
        ),
    ] = None,
    cluster: Cluster = None,
    asynchronous: Annotated[
        bool,
        typer.Option(
            "--asynchronous",
            help="no worker waits for its generation; for times that differ",
            rich_help_panel=PROCESSORS,
        ),
    ] = False,
    until: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="end at 'hypervolume >= 0.999' of the optimum, 'front >= 50', ..; repeatable",
            rich_help_panel=_ENDS,
        ),
    ] = None,
    plateau: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="end once so many evaluations have added hardly any hypervolume",
            rich_help_panel=_ENDS,
        ),
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="end after so long", rich_help_panel=_ENDS)
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", help="rows of the front to print", rich_help_panel=OUTPUT)] = 10,
    as_json: AsJson = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Searches tables."""
    from evo_qnas.problem import TableProblem
    from evo_qnas.search import search as run_search
    from evo_qnas.search.summary import summary
    from evo_qnas.terminal import hand_on, say_text

    must_be_hdf5(output, "archives")
    problem = TableProblem(
        load_tables(tables), objectives=objective or ["score", "size_bytes"], constraints=constraint or []
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
    if as_json:
        hand_on(archive.front.to_json())
        return
    say_text(summary(archive, problem, rows=top))
