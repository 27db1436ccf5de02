"""Tables of `evo-qnas check` and `evo-qnas blocks`."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evo_qnas.networks.candidates.listing import PossibleBlock, PossibleBlocks
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


def show_blocks(console: Console, found: PossibleBlocks, *, layers: bool) -> None:
    """A row for each possible block, then what the numbers of operators mean, and why operators do not fit."""
    shown = [row for row in found.rows if layers or row.auto or not row.is_layer]
    numbers = {name: str(index) for index, name in enumerate(_operators_of(shown), start=1)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("block", "in", "out", "parameters", "MACs", "fitting"):
        table.add_column(
            title, justify="right" if title in {"parameters", "MACs"} else "left", no_wrap=title != "block"
        )
    for row in shown:
        name = Text(f"{row.name} *" if row.auto else row.name, style="green" if row.auto else "")
        sizes = ("x".join(str(size) for size in shape) for shape in (row.inputs, row.outputs))
        fitting = " ".join(numbers[operator] for operator in row.fitting)
        table.add_row(name, *sizes, f"{row.parameters:,}", f"{row.macs_share:.1%}", fitting)
    console.print(table)
    if numbers:
        console.print(f"operators: {', '.join(f'{number} {name}' for name, number in numbers.items())}", soft_wrap=True)
    for text in _misfits(shown):
        console.print(text, soft_wrap=True)
    for block, reason in found.others.items():
        console.print(f"{block} cannot be a block: {reason}", style="yellow", soft_wrap=True)
    taken = f"takes {len(found.auto)} of them, marked *" if found.auto else "finds none"
    hidden = len(found.rows) - len(shown)
    more = f", {hidden} of them single layers (--layers)" if hidden else ""
    console.print(f'{len(found.rows)} possible blocks{more}; blocks.names = "auto" {taken}', soft_wrap=True)


def _operators_of(rows: Sequence[PossibleBlock]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.operators))


# Names of blocks that a sentence names before it counts the others. Chosen.
_NAMED = 3


def _misfits(rows: Sequence[PossibleBlock]) -> list[str]:
    """A sentence for each operator and reason for which it does not fit."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for operator, reason in row.operators.items():
            if reason:
                reasons.setdefault((operator, reason), []).append(row.name)
    return [
        f"{operator} does not fit {', '.join(names[:_NAMED])}"
        f"{f' and {len(names) - _NAMED} others' if len(names) > _NAMED else ''}: {reason}"
        for (operator, reason), names in reasons.items()
    ]
