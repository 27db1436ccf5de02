"""The verbs tables and profile, as a person runs them."""

import json
import sys
from pathlib import Path

import pytest

from evo_qnas.cli import main
from evo_qnas.tables import Tables
from tests.problem.made import made_tables

ROWS = "block,operator,weight_bits,activation_bits,score,latency\ns,conv,8,8,1,2\ns,conv,4,8,2,1\n"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    monkeypatch.setattr(sys, "argv", ["evo-qnas", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    made_tables(3).with_baselines({"first": [0, 0, 0]}).save(tmp_path / "t.h5")
    return tmp_path / "t.h5"


def test_import_check_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.csv").write_text(ROWS)
    words = ["import", f"{tmp_path}/m.csv", "-o", f"{tmp_path}/m.h5", "--unit", "latency=ms", "--maximize", "score"]
    code, out, _ = run(monkeypatch, capsys, "tables", *words)
    assert (code, out) == (0, f"{tmp_path}/m.h5: 1 blocks, 2 choices, score, latency\n")
    made = Tables.load(tmp_path / "m.h5")
    assert (made.columns["latency"].unit, made.columns["score"].direction) == ("ms", "maximize")
    code, out, _ = run(monkeypatch, capsys, "tables", "export", f"{tmp_path}/m.h5", "-o", f"{tmp_path}/n.csv")
    assert (code, out) == (0, f"{tmp_path}/n.csv\n")
    assert Tables.from_csv(tmp_path / "n.csv").blocks[0].labels == made.blocks[0].labels
    code, out, _ = run(monkeypatch, capsys, "tables", "check", f"{tmp_path}/n.csv", "--json")
    assert code == 0
    assert [found["rule"] for found in json.loads(out)] == ["fewer-bits-better", "dominated-choice"]


def test_join_adds_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.csv").write_text(ROWS)
    header = "block,operator,weight_bits,activation_bits,mean,spread,device"
    (tmp_path / "pi.csv").write_text(f"{header}\ns,conv,*,8,3.5,0.1,pi4\n")
    words = ["join", f"{tmp_path}/m.csv", f"{tmp_path}/pi.csv", "-o", f"{tmp_path}/pi.h5"]
    code, out, _ = run(monkeypatch, capsys, "tables", *words)
    assert (code, out) == (0, f"{tmp_path}/pi.h5: latency_ms@pi4\n")
    assert Tables.load(tmp_path / "pi.h5").columns["latency_ms@pi4"].values[0].tolist() == [3.5, 3.5]
    (tmp_path / "pi.csv").write_text(f"{header}\ns,conv,4,8,3.5,0.1,pi4\n")
    code, _, err = run(monkeypatch, capsys, "tables", *words)
    assert code == 2
    assert "has no row of latency_ms@pi4 for block 's', choice conv 8/8" in err


def test_check_ends_with_1_where_results_would_be_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.csv").write_text(ROWS.replace("4,8,2,1", "4,8,,1"))
    code, out, _ = run(monkeypatch, capsys, "tables", "check", f"{tmp_path}/m.csv")
    assert code == 1
    assert "error: nan: column 'score' has 1 NaN, first block 's', choice conv 4/8" in out
    code, out, _ = run(
        monkeypatch, capsys, "tables", "import", f"{tmp_path}/m.csv", "-o", f"{tmp_path}/m.h5", "--drop-nan"
    )
    assert "1 blocks, 1 choices" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tables", "check", "none.h5"], "evo-qnas: there is no tables file none.h5\n"),
        (["tables", "import", "none.csv", "-o", "x.h5"], "evo-qnas: there is no file none.csv\n"),
        (
            ["tables", "import", "m.csv", "-o", "x.h5", "--unit", "ms"],
            "evo-qnas: --unit 'ms' must read column=unit, for example latency=ms\n",
        ),
        (
            ["tables", "import", "m.csv", "-o", "x.h5", "--kind", "excel"],
            "evo-qnas: there is no kind of source 'excel'; there are: csv, hawq, haq, apq, nas-bench-macro\n",
        ),
        (["profile", "m.csv", "--constraint", "latency < 3"], "use <= or >=, for example"),
        (["profile", "m.csv", "--constraint", "latency <= 0.5"], "the smallest reachable is 1\n"),
        (
            ["profile", "m.csv", "--constraint", "latency <= 1.5", "--constraint", "score <= 1.5"],
            "cannot be met together",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.csv").write_text(ROWS)
    code, _, err = run(monkeypatch, capsys, *words)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_profile_as_text_and_json(
    tables: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, "profile", str(tables), "--constraint", "cost <= 100", "--samples", "50")
    assert code == 0
    assert "cost <= 100: can be met" in out
    code, out, _ = run(monkeypatch, capsys, "profile", str(tables), "--json")
    found = json.loads(out)
    assert [column["name"] for column in found["columns"]] == ["score", "cost", "good"]
    assert found["networks"] == int(Tables.load(tables).choices.prod())
