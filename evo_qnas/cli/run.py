"""`evo-qnas run`: the whole pipeline of a card."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evo_qnas.cli import completion
from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import NETWORKS
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import PROCESSORS, AsJson, CardName, Changes, Cluster, Quiet, Verbose
from evo_qnas.summary import Metric
from evo_qnas.terminal import hand_on, make_console

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
    console = make_console(width=None)
    if study.is_finished:
        _show(console, study.summary.to_dict())
        console.print(
            f"\nEverything lies in {escape(str(folder))}: summary.json, front.csv, front.png, report.html, networks/"
        )
    else:
        console.print(f"{escape(str(folder))} is ready up to the stage {until}.")


def _latency(entry: dict[str, Any], int8: dict[str, Any]) -> list[str]:
    """A network's latency and how much faster than the INT8 teacher it is."""
    if entry["latency_ms"] is None:
        return ["", ""]
    return [f"{entry['latency_ms']:.2f}", f"{1 - entry['latency_ms'] / int8['latency_ms']:.0%}"]


def _show(console: Console, summary: dict[str, Any]) -> None:
    """The table a run ends with."""
    metric = Metric.of(summary["metric"])
    images, card, measured = summary["images"], escape(summary["card"]), escape(metric.name)
    console.print(
        f"\n[bold]{card}[/bold], seed {summary['seed']}: {measured} on {images['test']} test images; "
        f"teacher in float {metric.format(summary['teacher_float']['metric'])}"
    )
    console.print(_networks(summary, metric))
    console.print("score: predicted; before, after: fine-tuning, the same budget for every row")
    console.print(f"green: not {'below' if metric.maximize else 'above'} the INT8 teacher")
    console.print("standing: on the front of metric and size as measured, or beaten by whom; ties are in the report")
    for name, other in summary["searches"].items():
        console.print(
            f"search {name}: {' and '.join(other['objectives'])}, {other['evaluations']:,} evaluations, "
            f"{other['front']} networks on the front, picks by {other['pick_by']}"
        )
    search = summary["search"]
    console.print(
        f"search: {search['algorithm']}, {search['evaluations']:,} evaluations, "
        f"{search['front']} networks on the front, {search['certificate']}"
    )
    tau = summary["rank_correlation"]
    if tau is not None and tau["kendall_tau"] is not None:
        console.print(
            f"score against {measured} before fine-tuning: Kendall tau {tau['kendall_tau']:.2f} "
            f"(95 % {tau['low']:.2f} .. {tau['high']:.2f}, {tau['networks']} random networks, search images)"
        )
    for text in summary.get("warnings", ()):
        console.print(f"warning: {text}", style="yellow", markup=False)
    console.print("seconds: " + ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in summary["seconds"].items()))


def _networks(summary: dict[str, Any], metric: Metric) -> Table:
    """A row for each network; 80 columns are enough where a name or a standing takes two lines, no number is cut."""
    from evo_qnas.report.validated import standing

    int8 = summary["teacher_int8"]
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    timed = int8 is not None and int8["latency_ms"] is not None
    columns = ["network", "bytes", "saving", *(["ms", "faster"] if timed else []), "score"]
    for title in (*columns, "before", "after", "standing"):
        text = title in {"network", "standing"}
        table.add_column(title, justify="left" if title == "network" else "right", no_wrap=not text)
    if int8 is not None:
        table.add_row(
            "teacher INT8",
            f"{int8['size_bytes']:,}",
            "",
            *([f"{int8['latency_ms']:.2f}", ""] if timed else []),
            "",
            metric.format(int8["metric_before_finetune"]),
            metric.format(int8["metric"]),
            "",
            style="yellow",
        )
    for entry in summary["networks"]:
        better = int8 is not None and not metric.is_worse(entry["metric"], int8["metric"])
        saving = "" if int8 is None else f"{1 - entry['size_bytes'] / int8['size_bytes']:.0%}"
        table.add_row(
            escape(entry["id"]),
            f"{entry['size_bytes']:,}",
            saving,
            *(_latency(entry, int8) if timed else []),
            f"{entry['predicted']['score']:.3f}",
            metric.format(entry["metric_before_finetune"]),
            metric.format(entry["metric"]),
            escape(standing(entry) or ""),
            style="green" if better else None,
        )
    return table
