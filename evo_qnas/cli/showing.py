"""Tables of `evo-qnas check` and `evo-qnas blocks`."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evo_qnas.networks.checking import OperationRow, QuantizabilityReport
from evo_qnas.networks.checking.report import NOT_AT_ALL

_STYLES = {"in integers": "green", "in float": "yellow", NOT_AT_ALL: "red"}


def show_check(console: Console, name: str, report: QuantizabilityReport) -> None:
    """A row for each kind of operation, then what is left out and what is only said."""
    if report.rows:
        console.print(_operations(report))
    for row in report.rows:
        for runtime, reason in row.reasons.items():
            if runtime not in report.binding:
                console.print(f"{row.operation} in {runtime}: {reason}", soft_wrap=True)
    for text in report.remarks:
        console.print(text, style="yellow", soft_wrap=True)
    for each in report.left_out:
        console.print(each.sentence, style="yellow", soft_wrap=True)
    if report.fits:
        asked = " and ".join(report.binding) or "no runtime"
        missing = f"; not installed: {', '.join(report.missing)}" if report.missing else ""
        console.print(
            f"{name} goes through: {report.networks} networks tried, {asked} asked for{missing}", style="green"
        )


def _operations(report: QuantizabilityReport) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("operation", "number", "MACs", "bytes", *report.runtimes):
        table.add_column(title, justify="right" if title in {"number", "MACs", "bytes"} else "left")
    for row in report.rows:
        table.add_row(row.operation, str(row.number), *_shares(row), *(_handled(row, name) for name in report.runtimes))
    return table


def _shares(row: OperationRow) -> tuple[str, str]:
    return f"{row.macs_share:.1%}", f"{row.bytes_share:.1%}"


def _handled(row: OperationRow, runtime: str) -> Text:
    handled = row.runtimes[runtime]
    return Text(handled, style=_STYLES.get(handled, ""))
