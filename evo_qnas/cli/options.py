"""Options that several verbs have, with one meaning in all of them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.help_pages import OUTPUT
from evo_qnas.errors import CardError
from evo_qnas.progress import Verbosity, level, verbosity

PROCESSORS = "Where it runs"

CardName = Annotated[
    str,
    typer.Argument(
        metavar="CARD", help="problem card: its name, or a TOML file", autocompletion=completion.problem_cards
    ),
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="change a value of the card; repeatable")
]
Trust = Annotated[bool, typer.Option("--trust", help="run the Python code that the folder's card names")]
Cluster = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="workers of dask://host:port", rich_help_panel=PROCESSORS)
]
NetworkId = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="ID",
        help="id in summary.json, or teacher_int8 [default: the best one, as in the run's verdict]",
        autocompletion=completion.networks,
    ),
]
RunDir = Annotated[Path, typer.Argument(metavar="DIR", help="run folder of evo-qnas run")]
AsJson = Annotated[bool, typer.Option("--json", help="the result as JSON", rich_help_panel=OUTPUT)]


def _verbose(ctx: Any, wanted: bool) -> bool:
    return _set(ctx, Verbosity.VERBOSE, wanted=wanted)


def _quiet(ctx: Any, wanted: bool) -> bool:
    return _set(ctx, Verbosity.QUIET, wanted=wanted)


def _set(ctx: Any, wish: Verbosity, *, wanted: bool) -> bool:
    """The option itself; how much is said holds until the command has ended."""
    if wanted:
        if level() is not Verbosity.NORMAL:
            raise CardError("-v asks for more and -q for less: give one of them")
        ctx.with_resource(verbosity(wish))
    return wanted


Verbose = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        callback=_verbose,
        help="say what each step took, and where an error came from",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", callback=_quiet, help="no progress; results and warnings only", rich_help_panel=OUTPUT
    ),
]
