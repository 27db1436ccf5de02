"""`evo-qnas check`: what could not end, known before anything is trained."""

import json
import tempfile
from pathlib import Path

import typer

from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import NETWORKS
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import AsJson, CardName, Changes, Quiet, Verbose
from evo_qnas.terminal import hand_on, make_console

_HELP = """Tries a card in seconds, before anything is trained.

Two examples go through the capture of the teacher and of every candidate operator, quantization, calibration, one step
of fine-tuning, and the translation to every runtime that is installed. A row for each kind of operation says how many
there are, their share of multiplications and of bytes, and how each runtime takes them: in integers, in float between
quantized tensors, or not at all and why. Exit code 2, with the operation, its line of code and the way out, where a run
could not end. evo-qnas run does the same first.

Examples:

  evo-qnas check digits

  evo-qnas check my_card.toml --set teacher.architecture=my_module:network

  evo-qnas check digits --json > check.json
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("check", help=_HELP, cls=Verb, rich_help_panel=NETWORKS)(check)


def check(
    card: CardName, changes: Changes = None, as_json: AsJson = False, _verbose: Verbose = False, _quiet: Quiet = False
) -> None:
    """Tries a card."""
    with needs_extra("evo-qnas check", "train"):
        from evo_qnas.pipeline import load_card
        from evo_qnas.pipeline.check import try_card
        from evo_qnas.pipeline.context import RunContext
    from evo_qnas.cli.showing import show_check

    name, content = load_card(card, changes=changes)
    with tempfile.TemporaryDirectory() as folder:
        report = try_card(RunContext(name=name, card=content, folder=Path(folder).resolve()))
    if as_json:
        hand_on(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n")
    else:
        show_check(make_console(markup=False), name, report)
    report.require()
