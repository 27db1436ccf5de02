"""Progress on stderr: a bar with elapsed time and time left, silent where nobody looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Advance = Callable[[int], None]


@contextmanager
def progress_bar(description: str, total: int, *, show: bool | None = None) -> Iterator[Advance]:
    """Yields a function that moves the bar on by a number of steps.

    Args:
        description: what is being done.
        total: the number of steps in all.
        show: draw the bar; None draws it where stderr is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield lambda _steps: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task(description, total=total)
        yield lambda steps: bar.advance(task, steps)
