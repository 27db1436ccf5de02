"""The table that `evo-qnas run` ends with."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evo_qnas.summary import Int8Teacher, RunSummary, ValidatedNetwork, percent, significant
from evo_qnas.summary.best import is_worse, lead_of


def show_run(console: Console, summary: RunSummary) -> None:
    """The table a run ends with, and what was searched."""
    metric = summary.metric
    card, measured = escape(summary.card), escape(metric.name)
    console.print(
        f"\n[bold]{card}[/bold], seed {summary.seed}: {measured} on {summary.images['test']} test images; "
        f"teacher in float {metric.format(summary.teacher_float.metric)}"
    )
    console.print(_networks(summary))
    console.print("after fine-tuning, the same budget for every row; minus INT8: paired by image; ±: standard error")
    console.print(f"green: not {'below' if metric.maximize else 'above'} the INT8 teacher beyond noise")
    console.print("standing: on the front of metric and size as measured, beaten by whom, or within noise of whom")
    for name, other in summary.searches.items():
        console.print(
            f"search {name}: {' and '.join(other.objectives)}, {other.evaluations:,} evaluations, "
            f"{other.front} networks on the front, picks by {other.pick_by}"
        )
    search = summary.search
    console.print(
        f"search: {search.algorithm}, {search.evaluations:,} evaluations, "
        f"{search.front} networks on the front, {search.certificate}"
    )
    for text in summary.warnings:
        console.print(f"warning: {text}", style="yellow", markup=False)
    console.print("seconds: " + ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in summary.seconds.items()))


def _networks(summary: RunSummary) -> Table:
    """A row for each network; 80 columns are enough where a name or a standing takes two lines, no number is cut."""
    int8, metric = summary.teacher_int8, summary.metric
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    timed = int8 is not None and int8.latency_ms is not None
    judged = ["minus INT8"] if int8 is not None else []
    for title in ("network", "bytes", "saving", *(["ms", "faster"] if timed else []), metric.name, *judged, "standing"):
        text = title in {"network", "minus INT8", "standing"}
        table.add_column(escape(title), justify="left" if title == "network" else "right", no_wrap=not text)
    if int8 is not None:
        table.add_row(
            "teacher INT8",
            f"{int8.size_bytes:,}",
            "",
            *([significant(int8.latency_ms), ""] if int8.latency_ms else []),
            metric.format(int8.metric),
            "",
            "",
            style="yellow",
        )
    for network in summary.networks:
        lead = lead_of(network, summary)
        good = lead is not None and not is_worse(lead, summary)
        table.add_row(
            escape(network.id),
            f"{network.size_bytes:,}",
            "" if int8 is None else percent(1 - network.size_bytes / int8.size_bytes),
            *(_latency(network, int8) if timed else []),
            metric.format(network.metric, network.metric_stderr),
            *([] if lead is None else [metric.difference(lead.metric, lead.stderr)]),
            escape(network.standing),
            style="green" if good else None,
        )
    return table


def _latency(network: ValidatedNetwork, int8: Int8Teacher | None) -> list[str]:
    """A network's latency and how much faster than the INT8 teacher it is."""
    if network.latency_ms is None or int8 is None or not int8.latency_ms:
        return ["", ""]
    return [significant(network.latency_ms), percent(1 - network.latency_ms / int8.latency_ms)]
