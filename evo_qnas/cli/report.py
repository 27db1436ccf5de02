"""`evo-qnas report`: one self-contained page."""

from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.groups import LOOKING
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.paths import must_end

_HELP = """Writes one HTML page of a run, a search or a comparison.

It opens from disk, without a network.

Examples:

  evo-qnas report results/digits -o digits.html

  evo-qnas report results/first.h5 -o first.html
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("report", help=_HELP, cls=Verb, rich_help_panel=LOOKING)(report)


def report(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="an archive, DIR, or the folder of a comparison")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="the page [default: beside FILE, or DIR/report.html]"),
    ] = None,
) -> None:
    """Writes the page."""
    from evo_qnas.report import write_report
    from evo_qnas.terminal import say

    beside = source / "report.html" if source.is_dir() else source.with_suffix(".html")
    made = write_report(source, must_end(output or beside, "the report is an HTML page", ".html", ".htm"))
    say(f"{made}: {made.stat().st_size / 2**20:.1f} MiB")
