"""Every block of code on the site and in the README is run, or parsed, or marked with why it cannot be run.

A mark is a comment before the block, `<!-- not run: REASON -->`.
"""

import functools
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import typer
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.cli import app
from evo_qnas.cli.help_pages import paragraphs
from tests.exported_once import exported_once
from tests.tried_once import tried_anew, tried_once

__all__ = ["exported_once", "tried_anew", "tried_once"]

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")))}
BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>.*?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)

# Blocks that are run, by page and number among those without a mark. Elsewhere: `test_documents.py` runs them as they
# stand from a fresh clone, `networks/export/test_own_operation.py` an operation's.
HERE = {
    "README.md": [0],
    "docs/cards.md": [0],
    "docs/checking.md": [0, 1, 2, 3],
    "docs/extending.md": [1, 3, 4],
    "docs/slow_objectives.md": [0],
    "docs/study.md": [0, 1, 2],
}
ELSEWHERE = {"README.md": [1, 2], "docs/engine.md": [0, 1], "docs/extending.md": [2]}
PARSED = {"docs/devices.md": [0, 1], "docs/extending.md": [0]}
# Pages with blocks of text, which are no code: output, and layers. Examples of commands are parsed below.
WITH_TEXT = {"docs/architecture.md", "docs/checking.md", "docs/reference/commands.md"}
REASONS = {
    "docs/index.md": ["installs packages; make demo does the same"],
    "README.md": [
        "installs packages; each line is one of the Makefile's",
        "installs packages; make demo does the same",
    ],
    "docs/checking.md": ["needs a finished run", "needs a finished run"],
    "docs/devices.md": ["needs the extra micro, and minutes"],
    "docs/slow_objectives.md": ["needs a Dask cluster", "starts 32 processes"],
    "docs/strangers.md": ["needs a Dask cluster with certificates"],
}


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and code of a page's blocks that are code and have no mark."""
    found = BLOCK.finditer(PAGES[page].read_text(encoding="utf-8"))
    return [(each["language"], each["code"]) for each in found if each["reason"] is None and each["language"] != "text"]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_parsed_or_marked(page: str) -> None:
    text = PAGES[page].read_text(encoding="utf-8")
    assert len(re.findall("^```", text, re.M)) == 2 * len(BLOCK.findall(text))
    assert [match["reason"] for match in BLOCK.finditer(text) if match["reason"]] == REASONS.get(page, [])
    known = [*HERE.get(page, []), *ELSEWHERE.get(page, []), *PARSED.get(page, [])]
    assert sorted(known) == list(range(len(blocks(page))))
    assert page in WITH_TEXT or "```text" not in text


def test_sections_of_cards_on_pages_are_those_of_cards() -> None:
    pytest.importorskip("torch")
    from evo_qnas.pipeline import ProblemCard

    digits = tomllib.loads((ROOT / "problems" / "digits.toml").read_text(encoding="utf-8"))
    for _, code in blocks("docs/devices.md"):
        for section, values in tomllib.loads(code).items():
            ProblemCard.model_validate({**digits, section: {**digits.get(section, {}), **values}})
    (plugin,) = tomllib.loads(blocks("docs/extending.md")[0][1])["project"]["entry-points"]
    assert plugin == "evo_qnas.tasks"


def examples() -> list[list[str]]:
    """The words of every example that the help of a command shows."""
    found, waiting = [], [typer.main.get_command(app)]
    while waiting:
        command: Any = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        found += [shlex.split(line.partition(" > ")[0])[1:] for line in paragraphs(command.help or "")[1]]
    return found


@pytest.mark.parametrize("words", examples(), ids=" ".join)
def test_examples_of_commands_are_understood(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("evo-qnas", list(words))


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a reader has: a model, data, a table and a card, and settings that make it a matter of seconds."""
    torch = pytest.importorskip("torch")
    from evo_qnas.pipeline.cards.problem import _apply
    from tests.pipeline.conftest import SMALL
    from tests.study.conftest import FAST

    values = tomllib.loads((ROOT / "problems" / "digits.toml").read_text(encoding="utf-8"))
    for change in SMALL:
        _apply(values, change)
    (tmp_path / "my_card.toml").write_text(tomlkit.dumps(values), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    quick = {**FAST, "validation": {"random_networks": 0, "least_picks": 2, "size_shares": [0.9, 0.55]}}
    monkeypatch.setattr(eq, "Study", functools.partial(eq.Study, **quick), raising=False)
    torch.manual_seed(0)
    layers: Any = torch.nn

    def stage() -> Any:
        convolutions = [layers.Conv2d(16, 16, 3, padding=1) for _ in range(2)]
        return layers.Sequential(convolutions[0], layers.ReLU(), convolutions[1])

    class Model(layers.Module):  # type: ignore[name-defined]  # torch.nn by another name
        def __init__(self) -> None:
            super().__init__()
            self.stem = layers.Sequential(layers.Conv2d(1, 16, 3, padding=1), layers.ReLU())
            self.stages = layers.Sequential(stage(), stage(), stage())
            self.head = layers.Sequential(layers.AdaptiveAvgPool2d(1), layers.Flatten(), layers.Linear(16, 4))

        def forward(self, x: Any) -> Any:
            return self.head(self.stages(self.stem(x)))

    images = torch.randn(96, 1, 8, 8)
    labels = images[:, 0, :4, :4].amax((1, 2)).gt(1.8).long() + 2 * images[:, 0, 4:, 4:].amax((1, 2)).gt(1.8).long()
    train_set, val_set, test_set = (
        torch.utils.data.TensorDataset(images[part], labels[part])
        for part in (slice(48), slice(48, 72), slice(72, None))
    )
    tables = eq.Tables.from_csv(ROOT / "examples" / "costs.csv")
    return {
        "eq": eq,
        "torch": torch,
        "model": Model().eval(),
        "example": images[:2],
        "examples": train_set,
        "train_set": train_set,
        "val_set": val_set,
        "test_set": test_set,
        "my_loss": torch.nn.functional.l1_loss,
        "problem": eq.TableProblem(tables, ["score", "size_bytes"]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", HERE)
def test_code_of_a_page_runs(page: str, reader: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for number in HERE[page]:
        language, code = blocks(page)[number]
        if language == "python":
            exec(compile(code, f"{page}[{number}]", "exec"), reader)
        else:
            lines = [shlex.split(line, comments=True)[1:] for line in code.splitlines()]
            for words in filter(None, lines):
                result = CliRunner().invoke(app, words)
                assert result.exit_code == 0, (words, result.output, result.exception)
