"""`evo-qnas compare`: algorithms side by side."""

import importlib
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.groups import SEARCHES
from evo_qnas.cli.help_pages import OUTPUT, Verb
from evo_qnas.cli.options import PROCESSORS, AsJson, Cluster, Quiet, Verbose
from evo_qnas.cli.paths import load_tables
from evo_qnas.errors import CardError, ProblemError
from evo_qnas.terminal import hand_on, say, say_text

_HELP = """Runs algorithms side by side on equal problems, seeds and budgets.

It gives indicators, statistics and pictures. TARGET is a FILE of tables (HDF5, CSV), module:problem (an
evo_qnas.Problem, a pymoo problem, or a function that gives one), or a suite ("suite", or a TOML file). The results
folder holds every run's archive: the same command goes on after an interruption, and more algorithms, seeds or
evaluations reuse what is there.

Examples:

  evo-qnas compare tables.h5 --objective score --objective size_bytes --algorithm nsga2 --algorithm local --seeds 10

  evo-qnas compare tables.h5 --algorithm nsga2 --algorithm "plain=nsga2,seeding=false" --constraint "latency_ms <= 4"

  evo-qnas compare suite --only "hawq-*" --seeds 10 --evaluations 5000 --jobs 2
"""


_TABLES = "Of tables"


class Seeding(StrEnum):
    """Which algorithms are given seeds and reduced options."""

    default = "default"
    all = "all"
    none = "none"


class Pictures(StrEnum):
    """Formats of pictures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"
    none = "none"


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("compare", help=_HELP, cls=Verb, rich_help_panel=SEARCHES)(compare)


def compare(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="tables, module:problem, or a suite", autocompletion=completion.suites),
    ],
    algorithm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="NAME, or LABEL=NAME,setting=value,..; repeatable [default: nsga2, random; a suite's own]",
            autocompletion=completion.algorithms,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="runs of each algorithm on each problem")] = 10,
    evaluations: Annotated[int, typer.Option(metavar="N", min=1, help="networks that each run may evaluate")] = 5_000,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="folder [default: results/compare-TARGET]")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="column to optimise; repeatable [default: score, size_bytes]",
            rich_help_panel=_TABLES,
            autocompletion=completion.columns,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="limit such as 'latency_ms <= 4'; repeatable", rich_help_panel=_TABLES),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="of a suite: patterns of problem names; repeatable")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="test the others against this one only; 'all' tests every pair")
    ] = None,
    seeding: Annotated[
        Seeding,
        typer.Option(
            metavar="default|all|none",
            help="who is given seeds and reduced options; default: algorithms with a plain name",
        ),
    ] = Seeding.default,
    baseline: Annotated[bool, typer.Option(help="add random search without seeds as a yardstick")] = True,
    jobs: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="processes, -1 for all cores or the whole cluster; changes nothing but seconds",
            rich_help_panel=PROCESSORS,
        ),
    ] = -1,
    cluster: Cluster = None,
    pictures: Annotated[
        Pictures, typer.Option(metavar="png|svg|pdf|none", help="format of the pictures", rich_help_panel=OUTPUT)
    ] = Pictures.png,
    as_json: AsJson = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Compares algorithms."""
    from evo_qnas.compare import compare as run
    from evo_qnas.compare import summary_text
    from evo_qnas.compare.suite import is_suite, load_suite
    from evo_qnas.plots.compare import plot_comparison

    problem: Any
    algorithms: list[str] = algorithm or ["nsga2", "random"]
    skipped: dict[str, str] = {}
    if is_suite(target):
        suite = load_suite(target, only=only or ())
        if not suite.cases:
            raise CardError(f"no problem of {target} can be set up: {'; '.join(suite.skipped.values())}")
        problem, skipped = suite.cases, dict(suite.skipped)
        algorithms = algorithm or list(suite.algorithms)
        names = {text.partition("=")[0] for text in algorithms}
        against = against or (suite.against if suite.against in names else None)
    else:
        problem = {_label(target): _problem(target, objective, constraint)}
    folder = output or Path("results") / f"compare-{_label(target)}"
    comparison = run(
        problem,
        algorithms,
        seeds=seeds,
        evaluations=evaluations,
        path=folder,
        jobs=jobs,
        cluster=cluster,
        against=None if against == "all" else against,
        seeding=seeding.value,
        baseline=baseline,
        skipped=skipped,
        command=shlex.join(["evo-qnas", *sys.argv[1:]]),
    )
    drawn = [] if pictures is Pictures.none else plot_comparison(comparison, folder, file_format=pictures.value)
    if as_json:
        hand_on(comparison.medians().to_json(orient="records", indent=1) + "\n")
        return
    say_text(summary_text(comparison))
    files = ["results.csv", "medians.csv", "statistics.csv", "ranks.csv", "summary.txt", *(path.name for path in drawn)]
    say("", f"{folder}: {', '.join(files)}, fronts/, runs/")


def _label(target: str) -> str:
    """A short name for a target."""
    return target.rpartition(":")[2] if ":" in target and not Path(target).exists() else Path(target).stem


def _problem(target: str, objectives: list[str] | None, constraints: list[str] | None) -> Any:
    """The problem of a tables file, or the one that `module:name` names."""
    from evo_qnas.problem import TableProblem

    path = Path(target)
    if ":" in target and not path.exists():
        return _imported(target)
    if not path.is_dir() and (path.suffix == ".toml" or not path.suffix):
        raise CardError(f"{target} is neither a file of tables, nor module:problem, nor a suite")
    return TableProblem(load_tables(path), objectives or ["score", "size_bytes"], constraints or [])


def _imported(target: str) -> Any:
    """The object that `module:name` names; a function is called without arguments."""
    module, _, name = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ProblemError(f"problem {target!r} cannot be imported: {error}") from error
    finally:
        sys.path.pop(0)
    if name not in vars(found):
        raise ProblemError(f"module {module} has no {name!r}; write module:problem")
    value = vars(found)[name]
    return value() if callable(value) else value
