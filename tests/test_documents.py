"""The documents: their links lead somewhere, and what the README and the engine's page show runs as it stands."""

import ast
import inspect
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "results/**/*.md", "benchmarks/*.md", "examples/*.md", "devices/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language; of none for commands."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The lines of a page's blocks that call evo-qnas, without those that need a card of the reader's."""
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("evo-qnas ")]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a fresh clone has and these pages name."""
    for name in ("examples", "results"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target.partition("#")[0] for target in LINK.findall(page.read_text(encoding="utf-8"))]
    missing = [t for t in targets if t and "://" not in t and "mailto:" not in t and not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize(("page", "at"), [("README.md", 1), ("docs/engine.md", 0)])
def test_python_runs_from_a_fresh_clone(page: str, at: int, clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks(page, "python")[at], page, "exec"), {"__name__": "__main__"})
    assert (clone / "first.h5").exists()
    assert "score" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["README.md", "docs/engine.md"])
def test_commands_run_from_a_fresh_clone(page: str, clone: Path) -> None:
    lines = [line for line in commands(page) if line[0] != "run"]
    assert len(lines) >= 3
    for line in lines:
        result = CliRunner().invoke(app, line)
        assert result.exit_code == 0, (line, result.output, result.exception)
    assert (clone / "search.h5").exists()


def test_the_study_of_the_readme_has_the_parameters_that_it_names() -> None:
    tree = ast.parse(blocks("README.md", "python")[0])
    (call,) = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "eq.Study"]
    assert {word.arg for word in call.keywords} <= set(inspect.signature(eq.Study).parameters)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "study":
            assert hasattr(eq.Study, node.attr)
