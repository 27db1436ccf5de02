"""One self-contained HTML page: style, data, script and drawing library in one file, no network."""

import base64
import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from evo_qnas.errors import PictureError
from evo_qnas.report.markup import script_json, text

_SCRIPTS = ("common.js", "front.js", "table.js", "prefer.js", "map.js", "run.js", "comparison.js")


# Sections as `markup.section` and the assets write them.
_TITLED = re.compile(r'<h2 id="([\w-]+)-title">(.*?)</h2>')


def asset(name: str) -> str:
    """A file that ships beside this module."""
    return (files("evo_qnas.report") / "assets" / name).read_text(encoding="utf-8")


def build_page(title: str, lead: Sequence[str], sections: Sequence[str], data: Mapping[str, Any]) -> str:
    """The page; a content policy allows the scripts below by their checksum and nothing else, no network either.

    Args:
        title: plain text.
        lead: plain sentences under the title.
        sections: HTML, already escaped.
        data: of the script.
    """
    library, packed = _library()
    script = "\n".join(asset(name) for name in _SCRIPTS)
    policy = (
        f"default-src 'none'; script-src {_checksum(script)} {_checksum(library)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; form-action 'none'; base-uri 'none'"
    )
    sentences = "".join(f"<p>{text(sentence)}</p>" for sentence in lead)
    links = "".join(f'<a href="#{mark}">{title}</a>' for mark, title in _TITLED.findall("".join(sections)))
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">',
            f"<title>{text(title)}</title>",
            f"<style>{asset('page.css')}</style>\n</head>\n<body>",
            f"<header><h1>{text(title)}</h1>{sentences}",
            '<noscript><p class="error">The charts need JavaScript; the tables further down do not.</p></noscript>',
            f'<nav aria-label="Sections">{links}</nav>\n</header>\n<main>',
            *sections,
            "</main>",
            f'<script type="application/json" id="data">{script_json(data)}</script>',
            f'<script type="text/plain" id="plotly">{packed}</script>',
            f"<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


@cache
def _library() -> tuple[str, str]:
    """The drawing library's source, and packed as text.

    Raises:
        PictureError: plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # plotly has no types
    except ModuleNotFoundError as error:
        raise PictureError("a report needs plotly, which is not installed: pip install plotly") from error
    source: str = get_plotlyjs()
    # A page is read by text mode parsers that turn CR LF into LF; the checksum is of what the browser runs.
    source = source.replace("\r\n", "\n")
    return source, base64.b64encode(gzip.compress(source.encode("utf-8"), 9, mtime=0)).decode("ascii")


def _checksum(script: str) -> str:
    """The script's checksum as a content policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode('utf-8')).digest()).decode('ascii')}'"
