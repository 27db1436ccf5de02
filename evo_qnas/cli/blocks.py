"""`evo-qnas blocks`: the parts of a teacher that may be replaced."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import NETWORKS
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import AsJson, CardName, Changes, Quiet, Verbose
from evo_qnas.terminal import hand_on, make_console

_HELP = """Lists the parts of a network that may be replaced.

Shapes that go in and out, parameters, share of the multiplications, and which operators of the card fit; below, why
others do not. A * marks the blocks that blocks.names = "auto" takes. --layers lists single layers too; JSON has all.

Examples:

  evo-qnas blocks digits

  evo-qnas blocks my_card.toml --json > blocks.json

  evo-qnas run my_card.toml --set blocks.names=auto
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("blocks", help=_HELP, cls=Verb, rich_help_panel=NETWORKS)(blocks)


def blocks(
    card: CardName,
    changes: Changes = None,
    layers: Annotated[bool, typer.Option("--layers", help="single layers too")] = False,
    as_json: AsJson = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
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
