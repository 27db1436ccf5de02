"""A run folder of a stranger: no code that its card names runs before somebody says so."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.fuzzing.networks import CARD, write_data
from evo_qnas import cli
from evo_qnas.errors import CardError
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.cards.trust import named_code
from evo_qnas.pipeline.stored import export_stored, open_run
from tests.plots.conftest import make_run

CODE = {
    "a task": ('task = "classification"', 'task = "stranger:make"'),
    "data": ('name = "arrays"', 'name = "stranger:make"'),
    "a teacher": ('architecture = "inverted_residual_classifier"', 'architecture = "stranger:make"'),
    "an objective": ('objectives = ["score", "size_bytes"]', 'objectives = ["score", "stranger:make"]'),
    "a limit": ('constraints = ["size_bytes <= 100000"]', 'constraints = ["stranger:make"]'),
    "a further search": ("[validation]", '[searches.other]\nobjectives = ["stranger:make", "macs"]\n[validation]'),
    "an operator": ('card = "depthwise_separable"\nkernel = [3]\ndepth = [1]', 'card = "stranger.py"'),
}
VERBS = {
    "export": ["export", "run", "--network", "net0", "-o", "a.onnx"],
    "export-blocks": ["export-blocks", "run", "-o", "blocks"],
    "measure": ["tables", "measure", "run"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run folder, beside a module that leaves a file where it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    code = "from pathlib import Path\nPath('ran').touch()\nLABEL, DEFAULTS = 'a', {}\nmake = build = print\n"
    (tmp_path / "stranger.py").write_text(code)
    made = make_run(tmp_path / "run")
    write_data(made / "data")
    yield made
    sys.modules.pop("stranger", None)


def write_card(folder: Path, what: str) -> None:
    before, after = CODE[what]
    assert before in CARD
    (folder / "card.toml").write_text(CARD.replace(before, after, 1))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", CODE)
def test_code_of_strangers_does_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, verb: str
) -> None:
    write_card(folder, what)
    monkeypatch.setattr("sys.argv", ["evo-qnas", *VERBS[verb]])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    said = capsys.readouterr().err
    assert said.startswith(f"evo-qnas: {Path('run', 'card.toml')} names Python code that would run here (")
    assert "stranger" in said
    assert "--trust" in said
    assert said.count("\n") == 1
    assert not Path("ran").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_trust_lets_it_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    """It goes on to what is wrong with this folder next."""
    write_card(folder, "a teacher")
    monkeypatch.setattr("sys.argv", ["evo-qnas", *VERBS[verb], "--trust"])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    assert "--trust" not in capsys.readouterr().err


def test_the_library_asks_too(folder: Path) -> None:
    write_card(folder, "a teacher")
    with pytest.raises(CardError, match=r"names Python code .*teacher\.architecture = 'stranger:make'.*trust=True"):
        open_run(folder)
    with pytest.raises(CardError, match="names Python code"):
        export_stored(folder, "net0", folder / "a.onnx")
    assert open_run(folder, trust=True).card.teacher.architecture == "stranger:make"
    assert not Path("ran").exists()


@pytest.mark.parametrize("what", CODE)
def test_reports_and_pictures_run_none_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    write_card(folder, what)
    for arguments in (["report", "run", "-o", "a.html"], ["plot", "run", "-o", "a.svg"]):
        monkeypatch.setattr("sys.argv", ["evo-qnas", *arguments])
        with pytest.raises(SystemExit, match="0"):
            cli.main()
    assert not Path("ran").exists()


def test_what_came_with_evo_qnas_is_trusted(folder: Path) -> None:
    (folder / "card.toml").write_text(CARD)
    assert named_code(open_run(folder).card) == ()
    assert named_code(load_card("digits")[1]) == ()


def test_an_operator_that_hides_behind_a_known_name_is_code(folder: Path) -> None:
    """Cards are looked for in the working folder first, which may be the stranger's."""
    (folder / "card.toml").write_text(CARD)
    os.makedirs("operators/blocks")
    Path("stranger.py").rename("operators/blocks/depthwise_separable.py")
    with pytest.raises(CardError, match=r"operators\.card = 'depthwise_separable'"):
        open_run(folder)
