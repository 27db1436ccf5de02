"""`evo-qnas watch`: the front and the course of a search while another process makes it."""

import time
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.groups import LOOKING
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.paths import ARCHIVE, in_folder
from evo_qnas.terminal import make_console, say_text

_HELP = """Shows a search in the terminal, while another process makes it.

Its front and its course; it ends when the search has ended.

Examples:

  evo-qnas watch results/first.h5

  evo-qnas watch results/first.h5 --once
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("watch", help=_HELP, cls=Verb, rich_help_panel=LOOKING)(watch)


def watch(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="an archive, or DIR")],
    once: Annotated[bool, typer.Option("--once", help="print what there is and end, for scripts")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="seconds between two looks")] = 2.0,
) -> None:
    """Shows a running search."""
    from rich.live import Live
    from rich.text import Text

    from evo_qnas.archive import Archive
    from evo_qnas.plots.terminal import archive_text

    path = in_folder(file, ARCHIVE)
    console = make_console()
    width = min(max(console.width - 4, 40), 100)
    archive = Archive.load(path)
    if once or not console.is_terminal:
        say_text(archive_text(archive, width=width))
        return
    with Live(Text(archive_text(archive, width=width)), console=console, auto_refresh=False) as live:
        while not archive.finished:
            time.sleep(every)
            archive = Archive.load(path)
            live.update(Text(archive_text(archive, width=width)), refresh=True)
