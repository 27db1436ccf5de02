"""`evo-qnas report`: one self-contained page."""

from pathlib import Path
from typing import Annotated

import typer

_HELP = """Writes one HTML page of a run folder, an archive or a comparison folder.
It opens from disk, without a network.

Examples:

  evo-qnas report results/digits -o digits.html

  evo-qnas report results/first.h5 -o first.html
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("report", help=_HELP)(report)


def report(
    source: Annotated[Path, typer.Argument(metavar="FILE-or-DIR", help="archive, run folder or comparison folder")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="HTML", help="the page [SOURCE/report.html, SOURCE.html]")
    ] = None,
) -> None:
    """Writes the page."""
    from evo_qnas.report import write_report
    from evo_qnas.terminal import say

    beside = source / "report.html" if source.is_dir() else source.with_suffix(".html")
    made = write_report(source, output or beside)
    say(f"{made}: {made.stat().st_size / 2**20:.1f} MiB")
