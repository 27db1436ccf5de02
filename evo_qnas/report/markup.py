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
    """A table in a box that scrolls sideways; numbers stand to the right, None is a dash."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in headings)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    title = f"<caption>{text(caption)}</caption>" if caption else ""
    label = text(caption or "table")
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{label}">'
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


def _cell(value: Any) -> str:
    """One cell."""
    if value is None:
        return "<td>-</td>"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{text(value)}</td>"
    return f'<td class="number">{text(f"{value:,}" if isinstance(value, int) else f"{value:.6g}")}</td>'
