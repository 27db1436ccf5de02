"""The verdict of a run in the terminal."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evo_qnas.errors import CardError, PictureError
from evo_qnas.summary import RunSummary, State, Verdict, read_summary
from evo_qnas.summary.health import judge
from evo_qnas.summary.origin import export_way
from evo_qnas.terminal import hand_on

_MARKS = {State.GOOD: ("good", "green"), State.NOTE: ("note", "yellow"), State.BAD: ("bad", "bold red")}


def verdict_of(folder: Path) -> tuple[RunSummary, Verdict]:
    """The summary of a run folder and its verdict, found anew.

    Raises:
        PictureError: there is no `summary.json`, or it lacks what a run writes.
    """
    summary = read_summary(folder / "summary.json")
    if summary is None:
        raise PictureError(f"{folder} holds no summary.json: give a problem card, or the folder of a finished run")
    return summary, judge(summary)


def best_network(folder: Path) -> str:
    """The network that the verdict of a run folder names.

    Raises:
        CardError: it names none.
        PictureError: there is no summary.
    """
    found = verdict_of(folder)[1].network
    if found is None:
        raise CardError(f"{folder}: the verdict names no best network; give one of its summary.json with --network")
    return found


def show_verdict(console: Console, summary: RunSummary, folder: Path) -> None:
    """The headline, a line for each finding, and what writes the file of the best network."""
    verdict = summary.verdict or judge(summary)
    console.print()
    console.print(Text(verdict.headline, style="bold"))
    table = Table(box=None, pad_edge=False, show_header=False, collapse_padding=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in verdict.findings:
        word, style = _MARKS[finding.state]
        table.add_row(Text(word, style=style), Text(finding.text))
    console.print(table)
    if verdict.network is not None:
        console.print(Text(f"Its file: {export_way(folder, verdict.network)}"), soft_wrap=True)


def hand_on_verdict(verdict: Verdict) -> None:
    """The verdict as JSON."""
    hand_on(json.dumps(verdict.to_dict(), indent=1, ensure_ascii=False) + "\n")
