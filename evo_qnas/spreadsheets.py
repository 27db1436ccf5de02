"""Texts in CSV files that spreadsheets would take for formulas.

Excel, LibreOffice and others run a cell that begins with `= + - @`, a tab or a carriage return. Files of ours mark such
a text with an apostrophe, as spreadsheets do themselves, and our readers take the mark away again: what was written is
what is read. Numbers are never marked.
"""

import re
from typing import Any

_RISKY = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def marked(text: str, *, formulas: bool = False) -> str:
    r"""A text that no spreadsheet takes for a formula; a number stays as it is.

    Args:
        text: of a cell.
        formulas: mark only what would otherwise be read as a marked text.

    Example:
        >>> marked('=HYPERLINK("a")'), marked("-0.5"), marked("conv"), marked("'=a")
        ('\'=HYPERLINK("a")', '-0.5', 'conv', "''=a")
    """
    risky = _RISKY.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if risky and (not formulas or text.startswith("'")) else text


def unmarked(text: str) -> str:
    """The text that `marked` was given.

    Example:
        >>> [unmarked(marked(text)) for text in ("=1+1", "''-a", "-0.5", "'", "it's")]
        ['=1+1', "''-a", '-0.5', "'", "it's"]
    """
    return text[1:] if text.startswith("'") and _RISKY.match(text) else text


def marked_cell(value: Any) -> Any:
    """`marked` for a cell of any type."""
    return marked(value) if isinstance(value, str) else value


def frame_csv(frame: Any, *, formulas: bool = False) -> str:
    """The CSV text of a data frame without its index, lines ending with a line feed.

    Args:
        frame: of pandas.
        formulas: leave texts as they are.
    """
    if not formulas:
        frame = frame.rename(columns=marked_cell)
        frame = frame.apply(lambda column: column.map(marked_cell) if column.dtype.kind not in "biufc" else column)
    return str(frame.to_csv(index=False, lineterminator="\n"))
