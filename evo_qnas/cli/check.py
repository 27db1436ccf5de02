"""`evo-qnas check`: what could not end, known before anything is trained."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import NETWORKS
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import AsJson, Changes, Quiet, Verbose
from evo_qnas.terminal import hand_on, make_console

_HELP = """Tries a card in seconds, before anything is trained.

Two examples go through the capture of the teacher and of every candidate operator, quantization, calibration, one step
of fine-tuning, and the translation to every runtime that is installed. A row for each kind of operation says how many
there are, their share of multiplications and of bytes, and how each runtime takes them: in integers, in float between
quantized tensors, or not at all and why. Exit code 2, with the operation, its line of code and the way out, where a run
could not end. evo-qnas run does the same first.

Of the folder of a finished run it gives the verdict: the best network, and what the health checks found.
Exit code 1 where one of them is bad.

Examples:

  evo-qnas check digits

  evo-qnas check my_card.toml --set teacher.architecture=my_module:network

  evo-qnas check digits --json > check.json

  evo-qnas check results/digits
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("check", help=_HELP, cls=Verb, rich_help_panel=NETWORKS)(check)


def check(
    card: Annotated[
        str,
        typer.Argument(
            metavar="CARD",
            help="problem card: its name, or a TOML file; or DIR, the folder of a finished run",
            autocompletion=completion.problem_cards,
        ),
    ],
    changes: Changes = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Tries a card, or judges a finished run."""
    if Path(card).is_dir():
        _judge(Path(card), as_json=as_json)
        return
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


def _judge(folder: Path, *, as_json: bool) -> None:
    """The verdict of a run folder."""
    from evo_qnas.cli.verdict import hand_on_verdict, show_verdict, verdict_of
    from evo_qnas.summary import State

    summary, verdict = verdict_of(folder)
    if as_json:
        hand_on_verdict(verdict)
    else:
        show_verdict(make_console(width=None), summary, folder)
    if any(finding.state is State.BAD for finding in verdict.findings):
        raise typer.Exit(1)
