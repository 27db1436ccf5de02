"""`evo-qnas front`: the front of an archive."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from evo_qnas.archive import Archive, Front
from evo_qnas.errors import ArchiveError
from evo_qnas.terminal import hand_on, make_console, say

_HELP = """The front of an archive: the networks that no other evaluated one beats, sorted by the first objective.

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
    app.command("front", help=_HELP)(front)


def front(
    file: Annotated[Path, typer.Argument(help="an archive, or a run folder")],
    form: Annotated[Format, typer.Option("--format", help="a table to read, CSV, or JSON with genomes")] = Format.table,
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
    formulas: Annotated[
        bool, typer.Option("--formulas", help="CSV: leave texts that spreadsheets would run, instead of marking them")
    ] = False,
) -> None:
    """Prints a front."""
    archive = Archive.load(file / "archive.h5" if file.is_dir() else file)
    chosen = archive.select(*constraint) if constraint else archive.front
    if prefer or trade_off or knee:
        chosen = chosen.choose(_point(prefer) if prefer else None, trade_offs=trade_off or ())
    if form is Format.csv:
        hand_on(chosen.to_csv(formulas=formulas))
    elif form is Format.json:
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


def _show(archive: Archive, chosen: Front) -> None:
    """A table of evaluation, objectives, excess over limits and genome; what it is of goes to stderr."""
    words = f"{len(chosen)} networks of {len(archive)} evaluated with {archive.header.algorithm}"
    if not archive.finished:
        words += "; the search has not come to its end"
    if not len(chosen):
        words += "; no network met every limit"
    say(words, error=True)
    if not len(chosen):
        return
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
