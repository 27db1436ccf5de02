"""`evo-qnas blame`: which layer of a network is to blame for what quantization costs."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import LOOKING
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import AsJson, NetworkId, Quiet, RunDir, Trust, Verbose
from evo_qnas.terminal import hand_on, make_console, say

_HELP = """Says which layers of a validated network make the noise of quantization.

The noise that the weights of each layer and each activation add, in their block and at the outputs, and what more bits
or floats would take away.

Noise is squared error over the variance of the outputs in floats. It is that of the network as quantized, before
fine-tuning, unless --finetuned is given. Writes a picture of the worst parts and a CSV file of all: w4 are weights of 4
bits, a8 activations of 8.

Examples:

  evo-qnas blame results/digits

  evo-qnas blame results/digits --network teacher_int8 --examples 200 -o blame.svg

  evo-qnas blame results/digits --network 1a2b3c4d --json > blame.json
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("blame", help=_HELP, cls=Verb, rich_help_panel=LOOKING)(blame)


def blame(
    folder: RunDir,
    network: NetworkId = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help=".png, .svg or .pdf; .csv beside it [default: DIR/networks/ID/blame.png]",
        ),
    ] = None,
    finetuned: Annotated[
        bool, typer.Option("--finetuned", help="the network as validated, with all that fine-tuning moved")
    ] = False,
    examples: Annotated[
        int, typer.Option(metavar="N", min=2, help="examples of the search part to measure noise on")
    ] = 64,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="how many parts are printed, with all their gains")] = 10,
    trust: Trust = False,
    as_json: AsJson = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Blames layers."""
    from evo_qnas.cli.verdict import best_network

    with needs_extra("evo-qnas blame", "train"):
        from evo_qnas.pipeline.blame import blame_stored, write_blame
    from evo_qnas.plots.canvas import check_format

    identity = network or best_network(folder)
    picture = output or folder / "networks" / identity / "blame.png"
    check_format(picture)
    found = blame_stored(folder, identity, finetuned=finetuned, examples=examples, detailed=top, trust=trust)
    if as_json:
        hand_on(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
        return
    _show(found, top)
    table = write_blame(found, picture, title=f"{folder.resolve().name}, network {identity}: noise by layer")
    say(f"{picture}: the worst parts", f"{table}: all parts")


def _show(found: Any, top: int) -> None:
    """Blocks, then the worst parts: w4 are weights of 4 bits, a8 activations of 8.

    Noise of a part is that in its block and at the end of the network; gains are those by floats, by a fit anew at the
    same bits, by one more bit and by 8 bits, in percent of the network's noise.
    """
    from rich.table import Table
    from rich.text import Text

    from evo_qnas.networks.scoring.blame import ANEW, FLOATS
    from evo_qnas.networks.scoring.trials import WEIGHTS

    console = make_console()
    console.print(found.sentence, soft_wrap=True, markup=False, highlight=False)
    blocks = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("block", "noise at its end", "of its own", "at the outputs", "gone in floats"):
        blocks.add_column(title, justify="left" if title == "block" else "right")
    for row in found.blocks:
        numbers = (row.noise, row.in_block, row.at_output)
        blocks.add_row(Text(row.block or "fixed part"), *map(_number, numbers), _share(row.gain, found.noise))
    console.print(blocks)
    parts = Table(box=None, pad_edge=False, header_style="bold")
    parts.add_column("part", overflow="fold")
    parts.add_column("bits")
    for title in ("in block", "at end", "floats", "anew", "+1 bit", "8 bits"):
        parts.add_column(title, justify="right", no_wrap=True)
    for row in found.parts[:top]:
        gains = [row.gains.get(name) for name in (FLOATS, ANEW, f"{row.bits + 1} bits", "8 bits")]
        shares = ["" if gain is None else _share(gain, found.noise) for gain in gains]
        kind = "w" if row.kind == WEIGHTS else "a"
        part = Text(row.module or row.name)
        parts.add_row(part, f"{kind}{row.bits}", _number(row.in_block), _number(row.at_output), *shares)
    console.print(parts)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"


def _share(gain: float, noise: float) -> str:
    """A gain in percent of the noise; what rounds to 0 has no sign."""
    return f"{round(100.0 * gain / noise)}%" if noise else ""
