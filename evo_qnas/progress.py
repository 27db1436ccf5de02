"""Progress on stderr: a bar on a terminal, a bar in a notebook, and lines with the time left everywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from html import escape
from importlib import import_module
from typing import Any, final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evo_qnas.terminal import make_console, plain, say

Advance = Callable[[int], None]

# Seconds until the first line, and between two. A log of an hour has about 60 lines for it, a short step none. Chosen.
_FIRST, _BETWEEN = 10.0, 60.0
# Seconds between two pictures of a bar in a notebook; each is a message to the browser. Chosen.
_REDRAW = 0.25


class Verbosity(Enum):
    """How much is said about work that is under way."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


_LEVEL: ContextVar[Verbosity] = ContextVar("evo_qnas.verbosity", default=Verbosity.NORMAL)


def level() -> Verbosity:
    """How much is said now."""
    return _LEVEL.get()


@contextmanager
def verbosity(wish: Verbosity) -> Iterator[None]:
    """A block in which so much is said."""
    before = _LEVEL.set(wish)
    try:
        yield
    finally:
        _LEVEL.reset(before)


def announce(text: str, *, detail: bool = False) -> None:
    """A line about a step that begins, where no bar shows it; a detail is for those who asked for more."""
    wanted = level() is Verbosity.VERBOSE or not (detail or _is_drawn())
    if wanted and level() is not Verbosity.QUIET:
        say(f"evo-qnas: {text}", error=True)


@contextmanager
def progress_bar(description: str, total: int, *, show: bool | None = None) -> Iterator[Advance]:
    """Yields a function that moves the bar on by a number of steps.

    Args:
        description: what is being done.
        total: the number of steps in all.
        show: draw the bar; None draws it on a terminal and in a notebook, and prints lines elsewhere.
    """
    if show is False or (show is None and level() is Verbosity.QUIET):
        yield lambda _steps: None
    elif show or sys.stderr.isatty():
        with _terminal_bar(description, total) as advance:
            yield advance
    elif (display := _notebook()) is not None:
        with _NotebookBar(description, total, display) as bar:
            yield bar.advance
    else:
        lines = _Lines(description, total)
        yield lines.advance
        lines.end()


@contextmanager
def _terminal_bar(description: str, total: int) -> Iterator[Advance]:
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


def _is_drawn() -> bool:
    return sys.stderr.isatty() or _notebook() is not None


def _notebook() -> Any:
    """IPython's `display` where a notebook runs this; nothing is imported that is not there."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or "ipykernel" not in sys.modules or type(shell).__name__ == "TerminalInteractiveShell":
        return None
    drawing = import_module("IPython.display")
    return lambda text, **options: drawing.display(drawing.HTML(text), **options)


class _Steps:
    """Steps that are done, and how long those that are left will take."""

    def __init__(self, description: str, total: int) -> None:
        self._description, self._total = plain(description), total
        self._done, self._start = 0, time.monotonic()

    def _text(self, now: float) -> str:
        elapsed = now - self._start
        left = elapsed / self._done * max(self._total - self._done, 0) if self._done else None
        words = "" if left is None else f", {duration(left)} left"
        return f"{self._description}: {self._done:,} of {self._total:,} in {duration(elapsed)}{words}"


@final
class _Lines(_Steps):
    """Lines for a log, at intervals, and one at the end of what took that long."""

    def __init__(self, description: str, total: int) -> None:
        super().__init__(description, total)
        self._next = self._start + _FIRST

    def advance(self, steps: int) -> None:
        """Counts steps; prints where it is time."""
        self._done += steps
        now = time.monotonic()
        if now >= self._next and self._done < self._total:
            self._next = now + _BETWEEN
            say(f"evo-qnas: {self._text(now)}", error=True)

    def end(self) -> None:
        """The time that it all took."""
        took = time.monotonic() - self._start
        if took >= _FIRST or level() is Verbosity.VERBOSE:
            say(f"evo-qnas: {self._description}: {self._done:,} in {duration(took)}", error=True)


@final
class _NotebookBar(_Steps):
    """A bar of HTML that a notebook draws anew in its place."""

    def __init__(self, description: str, total: int, display: Any) -> None:
        super().__init__(description, total)
        self._display, self._drawn = display, self._start

    def __enter__(self) -> "_NotebookBar":
        self._handle = self._display(self._html(self._start), display_id=True)
        return self

    def advance(self, steps: int) -> None:
        """Counts steps; draws where it is time."""
        self._done += steps
        now = time.monotonic()
        if now - self._drawn >= _REDRAW or self._done >= self._total:
            self._drawn = now
            self._draw(now)

    def __exit__(self, *_error: object) -> None:
        self._draw(time.monotonic())

    def _draw(self, now: float) -> None:
        self._display(self._html(now), display_id=self._handle.display_id, update=True)

    def _html(self, now: float) -> str:
        bar = f'<progress value="{self._done}" max="{max(self._total, 1)}"></progress>'
        return f"<div>{bar} {escape(self._text(now))}</div>"


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds.

    Example:
        >>> duration(75.2), duration(3600.0)
        ('1:15', '1:00:00')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
