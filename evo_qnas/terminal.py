"""What is printed: no name of a stranger moves the cursor, changes colours, writes another line or a title."""

import logging
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, final

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderHook
from rich.measure import Measurement
from rich.segment import Segment

# A sentence longer than this repeats something that nobody reads. Chosen.
LONGEST_SENTENCE = 2000


def plain(text: str, *, lines: bool = False) -> str:
    r"""A text without control characters, marks of writing direction and halves of characters; they are spelled out.

    Args:
        text: to print.
        lines: keep the ends of lines.

    Example:
        >>> plain("a\x1b[2Jb\u202e"), plain("a\nb"), plain("a\nb", lines=True)
        ('a\\x1b[2Jb\\u202e', 'a\\nb', 'a\nb')
    """
    if text.isprintable():
        return text
    return "".join(
        letter if _shows(letter) or (lines and letter == "\n") else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def _shows(letter: str) -> bool:
    # Spaces of other widths do no harm.
    return letter.isprintable() or unicodedata.category(letter) == "Zs"


def sentence_of(text: str) -> str:
    """One line of at most `LONGEST_SENTENCE` letters; of a longer one the middle is left out."""
    cleaned, half = plain(text), LONGEST_SENTENCE // 2 - 1
    return cleaned if len(cleaned) <= LONGEST_SENTENCE else f"{cleaned[:half]}..{cleaned[-half:]}"


def say(*lines: str, error: bool = False) -> None:
    """Prints lines, on stdout or stderr; each stays one line."""
    print(*map(plain, lines), sep="\n", file=sys.stderr if error else sys.stdout, flush=error)


def say_text(text: str, *, error: bool = False) -> None:
    """Prints a text of several lines, on stdout or stderr."""
    print(plain(text, lines=True), file=sys.stderr if error else sys.stdout)


def hand_on(data: str) -> None:
    """Writes data to stdout as it is, for a file or another program; a terminal gets it without control characters."""
    sys.stdout.write(plain(data, lines=True) if sys.stdout.isatty() else data)


def make_console(*, stderr: bool = False, **options: Any) -> Console:
    """A console of rich that prints nothing but its own control characters."""
    console = Console(stderr=stderr, highlight=False, **options)
    console.push_render_hook(_Hook())
    return console


@final
class _Hook(RenderHook):
    """Cleans what a console is about to render."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Clean(renderable) for renderable in renderables]


@final
class _Clean:
    """A renderable whose texts are plain; rich's own control codes are kept."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield from _cleaned(console.render(self._inner, options))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement.get(console, options, self._inner)


def _cleaned(segments: Iterable[Segment]) -> Iterable[Segment]:
    for segment in segments:
        yield segment if segment.control else Segment(plain(segment.text, lines=True), segment.style)


@final
class PlainFormatter(logging.Formatter):
    """Log messages as one plain line each; a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text = super().format(record)
        return plain(text, lines=record.exc_info is not None)
