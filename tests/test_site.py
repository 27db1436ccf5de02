"""The documentation's site: everything public has its page, pages that are written by programs are those of today."""

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import typer

import evo_qnas as eq
from evo_qnas.cli import app
from evo_qnas.cli.list import KINDS
from evo_qnas.cli.reference import commands_page, lists_page
from evo_qnas.compare import runtimes
from evo_qnas.pipeline.cards.problem import ProblemCard
from evo_qnas.pipeline.cards.reference import card_keys, card_schema
from evo_qnas.summary import RunSummary, ValidatedNetwork
from tests.tools import api_pages
from tests.tools.public_names import exported_names, modules_of

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
NOTEBOOKS = sorted((DOCS / "tutorials").glob("*.ipynb"))
# Blocks of code that no test runs: output, and what a reader completes.
UNTESTED = {"text", "toml"}


def test_pages_of_the_python_interface_are_those_of_the_sources() -> None:
    """Written anew by `python -m tests.tools.api_pages`."""
    stored = {path.name: path.read_text(encoding="utf-8") for path in api_pages.FOLDER.glob("*.md")}
    assert stored == api_pages.pages()


def test_every_public_name_has_a_page() -> None:
    for module, tree in modules_of(ROOT, "evo_qnas").items():
        for name in exported_names(tree):
            page = (api_pages.FOLDER / api_pages.file_of(module)).read_text(encoding="utf-8")
            row = re.search(rf"^\| \[?`{name}`(?:\]\(([^)#]*)#?([^)]*)\))? \|", page, flags=re.MULTILINE)
            assert row is not None, f"{module}.{name}"
            if row[2]:
                target = page if not row[1] else (api_pages.FOLDER / row[1]).read_text(encoding="utf-8")
                assert f"::: {row[2]}\n" in target or f"#{row[2]} }}" in target, f"{module}.{name}"


def test_page_of_card_keys_is_that_of_the_models() -> None:
    """Written anew by `python -m evo_qnas.pipeline.cards.reference docs/reference`."""
    assert (REFERENCE / "card_keys.md").read_text(encoding="utf-8") == card_keys()
    assert json.loads((REFERENCE / "card.schema.json").read_text(encoding="utf-8")) == card_schema()


def test_every_card_key_is_described() -> None:
    page = card_keys()
    for key in ProblemCard.model_fields:
        assert f"| `{key}` | " in page
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert all(row[1].strip() for row in rows)
    (row,) = [row for row in rows if row[0] == "| `budget_gib`"]
    assert row[2:] == ["GiB", "number > 0.0", "`4.0` |"]


def test_pages_of_commands_and_lists_are_those_of_the_command_line() -> None:
    """Written anew by `python -m evo_qnas.cli.reference docs/reference`."""
    assert (REFERENCE / "commands.md").read_text(encoding="utf-8") == commands_page()
    assert (REFERENCE / "lists.md").read_text(encoding="utf-8") == lists_page()


def test_every_command_has_a_page() -> None:
    page, waiting = commands_page(), [("evo-qnas", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        inner = getattr(command, "commands", {})
        waiting += [(f"{name} {key}", sub) for key, sub in inner.items()]
        assert inner or f"## {name}\n" in page
    assert all(f"## {kind}\n" in lists_page() for kind in KINDS if kind != "operations")


def test_every_column_is_on_its_page() -> None:
    page = (REFERENCE / "columns.md").read_text(encoding="utf-8")
    problem = eq.TableProblem(eq.Tables.from_csv(ROOT / "examples" / "costs.csv"), ["score", "size_bytes"])
    compared = eq.compare(problem, ["nsga2"], seeds=2, evaluations=40, progress=False)
    frames = (compared.to_dataframe(), compared.medians(), compared.statistics(), runtimes(compared))
    names = {str(name) for frame in frames for name in frame.columns} | {"id", "evaluation", "average_rank"}
    names |= set(RunSummary.model_fields) | set(ValidatedNetwork.model_fields) | set(problem.tables.columns)
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_the_navigation_names_every_page() -> None:
    named = set(re.findall(r"[\w./-]+\.(?:md|ipynb)", NAVIGATION))
    pages = {path.relative_to(DOCS).as_posix() for end in ("md", "ipynb") for path in DOCS.rglob(f"*.{end}")}
    assert pages - named == set()
    there = {name for name in named if (DOCS / name).exists() or (ROOT / name.removeprefix("repository/")).exists()}
    assert named - there == set()


def python_blocks() -> Iterator[tuple[str, str]]:
    """The pages with Python code that need something of the reader's, and each block."""
    for page in DOCS.rglob("*.md"):
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.M | re.S):
            yield page.relative_to(DOCS).as_posix(), block


def test_code_on_pages_is_run_or_checked_or_is_output() -> None:
    """Commands and Python are on pages that `tests/test_documents.py` runs, or whose calls are checked here."""
    guides = {
        "index.md",
        "slow_objectives.md",
        "engine.md",
        "extending.md",
        "study.md",
        "checking.md",
        "devices.md",
        "cards.md",
        "strangers.md",
        "releasing.md",
    }
    for page in DOCS.rglob("*.md"):
        languages = set(re.findall(r"^```(\w*)\n.*?^```$", page.read_text(encoding="utf-8"), flags=re.M | re.S))
        assert languages <= UNTESTED or page.relative_to(DOCS).as_posix() in guides, page


def test_calls_on_pages_have_the_parameters_that_they_name() -> None:
    checked = 0
    objects = {"study": eq.Study, "best": eq.ChosenNetwork}
    for page, block in python_blocks():
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in objects:
                assert hasattr(objects[node.value.id], node.attr), (page, ast.unparse(node))
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).startswith("eq."):
                continue
            called = attrgetter(ast.unparse(node.func).removeprefix("eq."))(eq)
            parameters = inspect.signature(called).parameters
            free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
            named = {word.arg for word in node.keywords} - {None}
            assert free or named <= set(parameters), (page, ast.unparse(node))
            checked += 1
    assert checked > 10


def test_the_defaults_on_the_page_of_a_study_are_those_of_the_code() -> None:
    pytest.importorskip("torch")
    page = (DOCS / "study.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (`[^|]+`) \|", page, flags=re.M)
    pairs = [pair for names, values in rows for pair in defaults_of(names, values)]
    known = {name: parameter.default for name, parameter in inspect.signature(eq.Study).parameters.items()}
    assert len(pairs) > 10
    assert [(name, value) for name, value in pairs if known[name] != value] == []


def defaults_of(names: str, values: str) -> list[tuple[str, Any]]:
    """Arguments of a row and their defaults; one default may be that of all."""
    arguments = re.findall(r"`(\w+)`", names)
    found = [ast.literal_eval(value) for value in re.findall(r"`([^`]+)`", values)]
    return list(zip(arguments, found if len(found) > 1 else found * len(arguments), strict=True))


def cells(notebook: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return found


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_their_outputs(notebook: Path) -> None:
    code = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    numbers = [cell["execution_count"] for cell in code]
    assert numbers == list(range(1, len(code) + 1)), "run it whole, from a fresh kernel"
    kinds = [output["output_type"] for cell in code for output in cell["outputs"]]
    assert kinds
    assert "error" not in kinds
    for cell in code:
        ast.parse("".join(cell["source"]))


def run(notebook: Path, folder: Path) -> None:
    """Runs the cells of a notebook where a fresh clone would be."""
    (folder / "examples").symlink_to(ROOT / "examples")
    code = "\n".join("".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "code")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["table", "compare"])
def test_notebooks_of_the_engine_run(name: str, tmp_path: Path) -> None:
    run(DOCS / "tutorials" / f"{name}.ipynb", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deploy", "metric", "model"])
def test_notebooks_of_networks_run(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    run(DOCS / "tutorials" / f"{name}.ipynb", tmp_path)


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in NOTEBOOKS} == {"table", "compare", "deploy", "metric", "model"}


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """`make docs`; mkdocs and its plug-ins are the extra `docs`."""
    pytest.importorskip("mkdocs", reason="needs the extra docs")
    mkdocs = shutil.which("mkdocs", path=str(Path(sys.executable).parent))
    assert mkdocs is not None
    command = [mkdocs, "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference" / "card_keys.html").is_file()
