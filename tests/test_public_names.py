"""Public names change only together with their listing, so that a change is seen."""

from difflib import unified_diff
from pathlib import Path

from tests.tools.public_names import LISTING, listing


def test_public_names_are_those_of_the_listing() -> None:
    stored, now = LISTING.read_text(encoding="utf-8").splitlines(), listing().splitlines()
    changes = "\n".join(unified_diff(stored, now, "stored", "now", lineterm="", n=1))
    assert changes == "", f"public names changed; if that is meant: python -m tests.tools.public_names\n{changes}"


def test_names_are_followed_to_where_they_are_defined(tmp_path: Path) -> None:
    inner = tmp_path / "made" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "made" / "__init__.py").write_text(
        "from made.inner import Box\nfrom made.other import LIMIT, work\n__all__ = ['Box', 'LIMIT', 'inner', 'work']\n"
    )
    (tmp_path / "made" / "other.py").write_text(
        "LIMIT: int = 3\ndef work(a: int, *, b: str = 'x') -> None: ...\ndef _hidden(): ...\n"
    )
    (inner / "__init__.py").write_text("from made.inner.box import Box\n__all__ = ['Box']\n")
    (inner / "box.py").write_text(
        "class Box(Base[int]):\n    size: int = 1\n    _own: int = 2\n"
        "    def __init__(self, size: int) -> None: ...\n    @property\n    def area(self) -> float: ...\n"
        "    def _quiet(self): ...\n    @classmethod\n    def load(cls, path: str) -> 'Box': ...\n"
    )
    assert listing(tmp_path, "made").splitlines() == [
        "made",
        "    Box: see made.inner",
        "    LIMIT: int",
        "    inner",
        "    work(a: int, *, b: str='x') -> None",
        "",
        "made.inner",
        "    class Box(Base[int])",
        "        size: int = 1",
        "        __init__(self, size: int) -> None",
        "        @property area(self) -> float",
        "        @classmethod load(cls, path: str) -> 'Box'",
    ]
