"""`evo-qnas blocks`: the parts of a teacher that may be replaced."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.extras import needs_extra
from evo_qnas.terminal import hand_on, make_console

_HELP = """Lists every submodule of a card's teacher that could be a block.

Shapes that go in and out, parameters, share of the multiplications, and which operators of the card fit; below, why
others do not. A * marks the blocks that blocks.names = "auto" takes. --layers lists single layers too; JSON has all.

Examples:

  evo-qnas blocks digits

  evo-qnas blocks my_card.toml --json > blocks.json

  evo-qnas run my_card.toml --set blocks.names=auto
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("blocks", help=_HELP)(blocks)


def blocks(
    card: Annotated[str, typer.Argument(help="name of a problem card, or path of a TOML file")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=C", help="change a value of the card; repeatable")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="single layers too")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the list as JSON")] = False,
) -> None:
    """Lists blocks."""
    with needs_extra("evo-qnas blocks", "train"):
        from evo_qnas.cli.showing import show_blocks
        from evo_qnas.pipeline import load_card
        from evo_qnas.pipeline.context import RunContext
        from evo_qnas.pipeline.found_blocks import listed_blocks

    name, content = load_card(card, changes=changes)
    with tempfile.TemporaryDirectory() as folder:
        found = listed_blocks(RunContext(name=name, card=content, folder=Path(folder).resolve()))
    if as_json:
        hand_on(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n")
    else:
        show_blocks(make_console(markup=False), found, layers=layers)
