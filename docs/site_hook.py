"""The site's part of files outside `docs/`: what pages link to is copied beside them, and links lead to the copy.

Pages are read in the repository too, where their links must lead to the files themselves. A folder is shown by its
README, or by a list of its files.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
COPIES = "repository"
CODE = {".py": "python", ".toml": "toml"}  # shown as pages
_SOURCE = re.compile(r'href="([^":#]+\.(?:ipynb|md)(?:#[^"]*)?)"')
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")


@event_priority(100)
def on_files(files: Files, config: Any) -> Files:
    """Adds the files that pages link to, and those that these link to."""
    waiting = [file.src_uri for file in files if file.src_uri.endswith(".md")]
    waiting += [uri for uri in _named(config["nav"]) if uri.startswith(f"{COPIES}/")]
    made: set[str] = set()
    while waiting:
        uri = waiting.pop()
        path = _path_of(uri)
        if uri.startswith(f"{COPIES}/") and uri not in made:
            made.add(uri)
            files.append(_copied(uri, path, config))
            waiting += _entries(path) if uri.endswith("/index.md") else []
        if path.suffix == ".md" and path.is_file():
            linked = [_uri(path, link[2]) for link in _LINK.finditer(path.read_text(encoding="utf-8"))]
            waiting += [other for other in linked if other.startswith(f"{COPIES}/") and other not in made]
    return files


def on_page_markdown(markdown: str, page: Any, **_others: Any) -> str:
    """The page with links that lead to the copies."""
    path = _path_of(page.file.src_uri)
    if path.suffix != ".md":
        return markdown
    folder = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        uri = _uri(path, link[2])
        if not uri:
            return link[0]
        anchor = link[2].partition("#")[1:]
        return f"{link[1]}{posixpath.relpath(uri, folder or '.')}{''.join(anchor)}{link[3]}"

    return _LINK.sub(moved, markdown)


def on_page_content(html: str, page: Any, files: Files, **_others: Any) -> str:
    """A notebook's page with links to the site's pages instead of their sources."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html
    folder = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target, mark, anchor = link[1].partition("#")
        file = files.get_file_from_path(posixpath.normpath(posixpath.join(folder, target)))
        return link[0] if file is None else f'href="{file.url_relative_to(page.file)}{mark}{anchor}"'

    return _SOURCE.sub(moved, html)


def _named(nav: Any) -> Iterator[str]:
    """The files that the navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list):
        for entry in nav:
            yield from _named(entry)
    elif isinstance(nav, dict):
        for entry in nav.values():
            yield from _named(entry)


def _path_of(uri: str) -> Path:
    """Where a page of the site lies in the repository."""
    if uri.startswith(f"{COPIES}/"):
        path = ROOT / uri.removeprefix(f"{COPIES}/")
        if path.exists():
            return path
        return path.parent if path.name == "index.md" else path.with_suffix("")
    return ROOT / "docs" / uri


def _uri(path: Path, target: str) -> str:
    """The page of the site that a link means; nothing for one that leads elsewhere or nowhere."""
    target = target.partition("#")[0]
    if not target or ":" in target:
        return ""
    folder = path if path.is_dir() else path.parent
    meant = (folder / target).resolve()
    if not meant.exists() or not meant.is_relative_to(ROOT):
        return ""
    if meant.is_relative_to(ROOT / "docs"):
        inside = meant.relative_to(ROOT / "docs").as_posix()
        return f"{inside}/README.md" if meant.is_dir() else inside
    inside = f"{COPIES}/{meant.relative_to(ROOT).as_posix()}"
    if not meant.is_dir():
        return f"{inside}.md" if meant.suffix in CODE else inside
    return f"{inside}/{'README.md' if (meant / 'README.md').exists() else 'index.md'}"


def _entries(folder: Path) -> list[str]:
    """The pages of the files of a folder that has no README."""
    return [uri for path in _shown(folder) if (uri := _uri(folder, path.name))]


def _shown(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(("_", ".")))


def _copied(uri: str, path: Path, config: Any) -> File:
    """A file of the repository, or a list of those of a folder."""
    if path.suffix in CODE:
        text = path.read_text(encoding="utf-8").rstrip()
        return File.generated(config, uri, content=f"# {path.name}\n\n````{CODE[path.suffix]}\n{text}\n````\n")
    if not path.is_dir():
        return File.generated(config, uri, abs_src_path=str(path))
    lines = [f"- [{entry.name}]({posixpath.basename(_uri(path, entry.name))})" for entry in _shown(path)]
    return File.generated(config, uri, content="\n".join([f"# {path.relative_to(ROOT)}\n", *lines]) + "\n")
