"""`evo-qnas run`: the whole pipeline of a card."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import NETWORKS
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import PROCESSORS, AsJson, CardName, Changes, Cluster, Quiet, Verbose
from evo_qnas.terminal import hand_on, make_console, say

_HELP = """Runs a card: from a teacher to validated networks and their files.

It trains or loads the teacher, distils and scores the candidates of every block, searches, fine-tunes and validates
picks of the front. The same command resumes what is there.

Examples:

  evo-qnas run digits

  evo-qnas run digits --seed 1 -o results/digits-seed1 --set search.evaluations=5000

  evo-qnas run digits --set refinement.steps=50 -o results/digits-refined

  evo-qnas run digits --cluster dask://127.0.0.1:8786
"""


class Device(StrEnum):
    """Where networks are trained."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("run", help=_HELP, cls=Verb, rich_help_panel=NETWORKS)(run)


def run(
    card: CardName,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="run folder [default: results/CARD]")
    ] = None,
    changes: Changes = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="seed of teacher, candidates, search and fine-tuning")
    ] = None,
    until: Annotated[
        str, typer.Option(metavar="STAGE", help="last stage to run", autocompletion=completion.stages)
    ] = "summary",
    anew: Annotated[bool, typer.Option("--anew", help="replace a run of another card in this folder")] = False,
    device: Annotated[
        Device, typer.Option(metavar="auto|cpu|cuda", help="where to train", rich_help_panel=PROCESSORS)
    ] = Device.auto,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="worker processes; changes no result [default: all cores, or all of the cluster]",
            rich_help_panel=PROCESSORS,
        ),
    ] = None,
    cluster: Cluster = None,
    as_json: AsJson = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Runs a card."""
    with needs_extra("evo-qnas run", "train"):
        from evo_qnas.study import Study
    study = Study.from_card(card, changes=changes or (), folder=output, seed=seed, device=device.value)
    study.run(until, jobs=jobs, cluster=cluster, anew=anew)
    folder = output or Path("results") / study.context.name
    if as_json:
        made = study.summary.to_dict() if study.is_finished else {"folder": str(folder), "until": until}
        hand_on(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
        return
    if not study.is_finished:
        say(f"{folder} is ready up to the stage {until}.")
        return
    from evo_qnas.cli.run_table import show_run
    from evo_qnas.cli.verdict import show_verdict

    console = make_console(width=None)
    show_run(console, study.summary)
    show_verdict(console, study.summary, folder)
    say(f"Its page, to open in a browser: {folder / 'report.html'}", f"All files: {folder}")
