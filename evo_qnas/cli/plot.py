"""`evo-qnas plot`: a picture of an archive or run folder."""

from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.groups import LOOKING
from evo_qnas.cli.help_pages import Verb

_HELP = """Draws one picture of a search or a run.

The output's ending (.png, .svg, .pdf) is the format.

Kinds: front (2 or 3 objectives, with baselines and exact front), parallel (2 and more), blocks (operator and bits of
each block along the front), gain (what each block's next step buys), convergence, validation (run folder).

Examples:

  evo-qnas plot results/first.h5 -o front.pdf

  evo-qnas plot results/digits -o validation.svg --kind validation
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("plot", help=_HELP, cls=Verb, rich_help_panel=LOOKING)(plot)


def plot(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="an archive, or DIR")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help=".png, .svg or .pdf [default: beside FILE, or DIR/KIND.png]"
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="what to draw [default: front; parallel for more than 3 objectives]",
            autocompletion=completion.of(completion.PICTURES),
        ),
    ] = None,
    exact: Annotated[bool, typer.Option(help="draw the exact front where it is known and cheap")] = True,
    at: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="gain: row of the front to work from [default: the knee]")
    ] = None,
) -> None:
    """Draws one picture."""
    from evo_qnas.plots import plot as draw
    from evo_qnas.terminal import say

    name = kind or "front"
    beside = source / f"{name}.png" if source.is_dir() else source.with_suffix(f".{kind}.png" if kind else ".png")
    target = output or beside
    chosen = draw(source, target, kind=kind, exact=exact, at=at)
    say(f"{target}: {chosen}")
