"""Progress on stderr: a bar with elapsed time and time left, silent where nobody looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evo_qnas.terminal import make_console, plain

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
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=make_console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task(plain(description), total=total)
        yield lambda steps: bar.advance(task, steps)
