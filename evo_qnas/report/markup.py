"""HTML from values: every text is escaped here and nowhere else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

_IN_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def text(value: Any) -> str:
    """A value as HTML text.

    Example:
        >>> text("<b>")
        '&lt;b&gt;'
    """
    return escape(str(value), quote=True)


def script_json(value: Any) -> str:
    r"""JSON that no HTML parser can leave a script element by.

    Example:
        >>> script_json({"name": "</script>"})
        '{"name":"\\u003c/script\\u003e"}'
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_IN_SCRIPT)


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, caption: str = "") -> str:
    """A table in a box that scrolls; columns of numbers stand to the right, None is a dash.

    Example:
        >>> "<td>&lt;i&gt;</td>" in table(["name"], [["<i>"]])
        True
    """
    lines = [list(row) for row in rows]
    right = [all(_is_number(row[place]) for row in lines) and bool(lines) for place in range(len(headings))]
    marks = [' class="number"' if here else "" for here in right]
    head = "".join(f'<th scope="col"{mark}>{text(name)}</th>' for name, mark in zip(headings, marks, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{_shown(value)}</td>" for value, mark in zip(row, marks, strict=True)) + "</tr>"
        for row in lines
    )
    title = f"<caption><span>{text(caption)}</span></caption>" if caption else ""
    return (
        f'<div class="wide tall" tabindex="0" role="region" aria-label="{text(caption or "table")}">'
        f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def pairs(values: Mapping[str, Any]) -> str:
    """A list of names and values; those that are None are left out."""
    items = "".join(f"<dt>{text(key)}</dt><dd>{text(value)}</dd>" for key, value in values.items() if value is not None)
    return f"<dl>{items}</dl>"


def fold(title: str, content: str) -> str:
    """Long text behind a title."""
    return f'<details><summary>{text(title)}</summary><pre tabindex="0">{text(content)}</pre></details>'


def section(name: str, title: str, content: str) -> str:
    """A section with its heading."""
    mark = text(name)
    heading = f'<h2 id="{mark}-title">{text(title)}</h2>'
    return f'<section id="{mark}" aria-labelledby="{mark}-title">{heading}{content}</section>'


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _shown(value: Any) -> str:
    """A cell's text."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return text(f"{value:.5g}")
    return text(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value)
