"""`evo-qnas schema`: the JSON schema of problem cards."""

import json

import typer

from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import LOOKING
from evo_qnas.cli.help_pages import Verb
from evo_qnas.terminal import hand_on

_HELP = """Prints the JSON schema of cards, for editors.

With it an editor completes and checks keys.

Example: evo-qnas schema > card.schema.json

The first line of a card names it: #:schema card.schema.json
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("schema", help=_HELP, cls=Verb, rich_help_panel=LOOKING)(schema)


def schema() -> None:
    """Prints the schema."""
    with needs_extra("evo-qnas schema", "train"):
        from evo_qnas.pipeline.cards.reference import card_schema
    hand_on(json.dumps(card_schema(), indent=1) + "\n")
