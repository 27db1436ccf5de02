"""No name of a stranger reaches a terminal as anything but letters."""

import ast
import io
import logging
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table
from typer.testing import CliRunner

import evo_qnas
from evo_qnas import cli, terminal
from evo_qnas.archive import Evaluations, Header, Recorder
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo, TableProblem
from evo_qnas.progress import progress_bar
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables

PACKAGE = Path(evo_qnas.__file__).parent
EVIL = "\x1b[2J\x1b]0;title\x07\r\u202e\x9b31m"
FEW = ("--evaluations", "4", "--seeds", "1", "--jobs", "1", "--pictures", "none")
CLEAN = "\\x1b[2J\\x1b]0;title\\x07\\r\\u202e\\x9b31m"


def odd_letters(text: str) -> set[str]:
    return {letter for letter in text if not letter.isprintable() and letter != "\n"}


@pytest.mark.parametrize(
    "letter", [chr(code) for code in (*range(32), 127, 0x85, 0x9B, 0x200F, 0x2028, 0x2066, 0xD800)]
)
def test_plain_spells_out_what_does_not_show(letter: str) -> None:
    assert terminal.plain(f"a{letter}b") == f"a{letter.encode('unicode_escape').decode()}b"
    assert (letter in terminal.plain(letter, lines=True)) == (letter == "\n")


def test_plain_keeps_what_shows() -> None:
    text = "caf\u00e9 \u6570 \U0001f600 \u00a0 [bold]"
    assert terminal.plain(text) == text


def test_a_console_prints_its_own_control_characters_alone() -> None:
    file = io.StringIO()
    console = terminal.make_console(file=file, force_terminal=True, width=200)
    table = Table(EVIL)
    table.add_row(EVIL, style="red")
    console.print(table)
    console.print(EVIL, markup=False)
    said = file.getvalue()
    assert said.count("\x1b[31m") == 3  # left margin, cell, right margin
    # rich itself leaves out bells and returns.
    assert said.count(CLEAN.replace("\\x07", "").replace("\\r", "")) == 3
    assert odd_letters(said) == {"\x1b"}
    assert "\x1b]" not in file.getvalue()
    assert "\x1b[2J" not in file.getvalue()


def test_progress_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with progress_bar(f"{EVIL}[red]", 2, show=True) as advance:
        advance(2)
    assert f"{CLEAN}[red]" in file.getvalue()
    assert odd_letters(file.getvalue()) == set()


def test_logs_are_plain() -> None:
    record = logging.LogRecord("a", logging.WARNING, "", 1, "worker died at %s", (f"{EVIL}\nforged",), None)
    assert terminal.PlainFormatter().format(record) == f"worker died at {CLEAN}\\nforged"


def test_sentences_have_an_end() -> None:
    assert terminal.sentence_of("a" * 4000 + "b" * 4000) == "a" * 999 + ".." + "b" * 999
    assert terminal.sentence_of("a\nb") == "a\\nb"


def test_every_verb_prints_plain_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tables = generate_tables(2, operators=2)
    tables.save(f"{EVIL}.h5")
    tables.to_csv(f"{EVIL}.csv")
    search(TableProblem(tables), evaluations=4, population=4, path="archive.h5", progress=False)
    evil = f"{EVIL}.made"
    for arguments in (
        ["tables", "check", f"{EVIL}.h5"],
        ["tables", "import", f"{EVIL}.csv", "-o", f"{evil}.h5"],
        ["tables", "export", f"{EVIL}.h5", "-o", evil],
        ["plot", "archive.h5", "-o", f"{EVIL}.svg"],
        ["report", "archive.h5", "-o", evil],
        ["compare", f"{EVIL}.h5", *FEW, "-o", f"{EVIL}.folder"],
        ["list", "problems"],
        ["front", f"{EVIL}.csv"],
    ):
        Path(evil).unlink(missing_ok=True)
        done = CliRunner().invoke(cli.app, arguments)
        said = f"{done.output}{terminal.sentence_of(str(done.exception or ''))}"
        assert CLEAN in said.replace("\n", "") or arguments[0] == "list", (arguments, said)
        assert odd_letters(said) == set(), (arguments, said)


def test_names_inside_an_archive_are_plain(tmp_path: Path) -> None:
    header = Header(
        problem={"kind": "own", "objectives": ["a"], "constraints": []},
        tables=None,
        blocks=("block",),
        objectives=(ObjectiveInfo(name=f"{EVIL}[red]", unit=EVIL), ObjectiveInfo(name="b")),
        constraints=(ConstraintInfo(name=EVIL, unit=EVIL),),
        algorithm=EVIL,
        settings={},
        seed=0,
        fingerprint="0",
    )
    recorder = Recorder.open(tmp_path / "a.h5", header)
    genomes = np.array([[0], [1]])
    recorder.append(Evaluations.ok(genomes, np.array([[1.0, 2.0], [2.0, 1.0]]), np.full((2, 1), -1.0)))
    recorder.finish()
    for arguments in (["front"], ["front", "--format", "json"], ["front", "--constraint", "b <= 9"]):
        done = CliRunner().invoke(cli.app, [*arguments, str(tmp_path / "a.h5")])
        assert done.exit_code == 0, done.exception
        assert odd_letters(done.output) == set(), arguments
    assert "[red]" in CliRunner().invoke(cli.app, ["front", str(tmp_path / "a.h5")], terminal_width=400).output


def test_errors_are_one_plain_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["evo-qnas", "front", f"/nowhere/{EVIL}\n{'x' * 3000}"])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    said = capsys.readouterr().err
    assert CLEAN in said
    assert said.count("\n") == 1
    assert len(said) < 2010


def test_data_for_a_file_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.hand_on(EVIL)
    assert capsys.readouterr().out == EVIL
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    terminal.hand_on(EVIL)
    assert capsys.readouterr().out == CLEAN


def test_nothing_prints_past_the_guard() -> None:
    """Only `terminal` prints; the script that is copied to devices stands alone."""
    alone = {"terminal.py", "measure_blocks.py"}
    for path in PACKAGE.rglob("*.py"):
        if path.name in alone:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                plain = isinstance(node.func, ast.Name)
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                prints = name in {"echo", "Console"} or (plain and name == "print")
                assert not prints, f"{path.name}:{node.lineno} prints with {name}: use evo_qnas.terminal"
