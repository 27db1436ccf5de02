"""`evo-qnas front`: the front of an archive."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from evo_qnas.cli.groups import SEARCHES
from evo_qnas.cli.help_pages import OUTPUT, Verb
from evo_qnas.cli.options import AsJson
from evo_qnas.cli.paths import ARCHIVE, in_folder
from evo_qnas.errors import ArchiveError
from evo_qnas.terminal import hand_on, make_console, say

_HELP = """Prints the front of a search, or chooses a network of it.

The front is the networks that no other evaluated one beats, sorted by the first objective.

Examples:

  evo-qnas front results/first.h5

  evo-qnas front results/first.h5 --constraint "size_bytes <= 30000" --format csv > front.csv

  evo-qnas front results/first.h5 --prefer score=1.5 --prefer size_bytes=30000

  evo-qnas front results/first.h5 --trade-off "size_bytes per score <= 20000"
"""


class Format(StrEnum):
    """Formats in which the front is printed."""

    table = "table"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("front", help=_HELP, cls=Verb, rich_help_panel=SEARCHES)(front)


def front(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="an archive, or DIR")],
    constraint: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="'size_bytes <= 30000', of an objective or any column; repeatable"),
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="one network: the one that reaches these values best; repeatable"),
    ] = None,
    trade_off: Annotated[
        list[str] | None,
        typer.Option(metavar="PRICE", help="one network, worth 'size_bytes per score <= 2000' at most; repeatable"),
    ] = None,
    knee: Annotated[
        bool, typer.Option("--knee", help="one network: where a bit more of one costs much of another")
    ] = False,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            metavar="table|csv|json",
            help="a table to read, CSV, or JSON with genomes",
            rich_help_panel=OUTPUT,
        ),
    ] = Format.table,
    as_json: AsJson = False,
    formulas: Annotated[
        bool,
        typer.Option(
            "--formulas",
            help="CSV: leave texts that spreadsheets would run, instead of marking them",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
) -> None:
    """Prints a front."""
    from evo_qnas.archive import Archive

    archive = Archive.load(in_folder(file, ARCHIVE))
    chosen = archive.select(*constraint) if constraint else archive.front
    if prefer or trade_off or knee:
        chosen = chosen.choose(_point(prefer) if prefer else None, trade_offs=trade_off or ())
    if form is Format.csv and not as_json:
        hand_on(chosen.to_csv(formulas=formulas))
    elif as_json or form is Format.json:
        hand_on(chosen.to_json())
    else:
        _show(archive, chosen)


def _point(texts: list[str]) -> dict[str, float]:
    """A reference point of NAME=VALUE texts."""
    point = {}
    for text in texts:
        name, sign, value = text.rpartition("=")
        try:
            point[name.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise ArchiveError(f"--prefer {text!r} cannot be read: write an objective and a number, size_bytes=30000")
    return point


def _show(archive: Any, chosen: Any) -> None:
    """A table of evaluation, objectives, excess over limits and genome; what it is of goes to stderr."""
    words = f"{len(chosen)} networks of {len(archive)} evaluated with {archive.header.algorithm}"
    if not archive.finished:
        words += "; the search has not come to its end"
    if not len(chosen):
        words += "; no network met every limit"
    say(words, error=True)
    if not len(chosen):
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("evaluation", box=None)
    header = archive.header
    for info in header.objectives:
        unit = "" if info.unit == "1" else f" [{info.unit}]"
        table.add_column(escape(f"{info.name}{unit} ({'max' if info.maximize else 'min'})"), justify="right")
    for limit in header.constraints:
        table.add_column(escape(f"over {limit.name}"), justify="right")
    table.add_column("genome", overflow="fold")
    for row, values, excess, genome in zip(
        chosen.rows, chosen.objectives, chosen.constraints, chosen.genomes, strict=True
    ):
        numbers = [f"{value:.6g}" for value in (*values, *excess)]
        table.add_row(str(row), *numbers, " ".join(map(str, genome)))
    make_console(width=None).print(table)
