"""Help of every verb: short, in groups, with examples, within 80 columns, and made without the engine."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import evo_qnas.cli
from evo_qnas.cli import app

FOLDER = Path(evo_qnas.cli.__file__).parent
# What a verb's module may import before the verb runs, so that help is there at once.
LIGHT = {"cli", "errors", "terminal", "progress"}
# Modules that help does not load.
INSIDE = {"reference.py", "run_table.py", "showing.py", "verdict.py"}


def verbs() -> Iterator[tuple[list[str], Any]]:
    """Every command with the words that name it."""
    waiting: list[tuple[list[str], Any]] = [([], typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        inner = getattr(command, "commands", {})
        waiting += [([*words, name], sub) for name, sub in inner.items()]
        yield words, command


VERBS = [(words, command) for words, command in verbs() if words]


@pytest.mark.parametrize(
    ("words", "command"), VERBS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_help_has_examples_and_names_what_options_take(
    words: list[str], command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert "<" not in result.output.replace("<=", "")
    if not hasattr(command, "commands"):
        assert "\n  evo-qnas " in result.output
    for parameter in command.params:
        assert parameter.help, (words, parameter.name)
        assert parameter.metavar or getattr(parameter, "is_flag", False), (words, parameter.name)


def test_verbs_are_in_groups() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    titles = [line for line in output.splitlines() if line.endswith(":")]
    assert titles == [
        "From a network to files for a device:",
        "From tables to a front:",
        "Looking at what is there:",
        "Options:",
    ]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_what_help_loads_is_light(path: Path) -> None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("evo_qnas.") and path.name not in INSIDE:
            assert str(node.module).split(".")[1] in LIGHT, f"{path.name} imports {node.module} at its top"


def test_more_and_less_is_a_contradiction() -> None:
    result = CliRunner().invoke(app, ["check", "digits", "-v", "-q"])
    assert str(result.exception) == "-v asks for more and -q for less: give one of them"
