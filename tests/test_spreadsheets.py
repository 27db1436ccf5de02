"""Texts that spreadsheets run are marked in every CSV file, numbers never, and readers take the mark away."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from evo_qnas import cli
from evo_qnas.compare import compare, save_comparison
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.spreadsheets import frame_csv, marked, unmarked
from evo_qnas.tables import Block, Tables
from evo_qnas.tables.measured import join_measured

FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", '=HYPERLINK("a")', "'=1", "''-x", "-conv", "-")


@given(st.text(st.sampled_from("'=+-@\t\r1a.e ")))
def test_a_mark_is_taken_away_again(text: str) -> None:
    assert unmarked(marked(text)) == text
    assert unmarked(marked(text, formulas=True)) == text


@given(st.floats() | st.integers())
def test_numbers_are_never_marked(number: float) -> None:
    assert marked(repr(number)) == repr(number)


@pytest.mark.parametrize("text", [*FORMULAS, "\t=1", "\r=1"])
def test_no_marked_text_begins_as_a_formula(text: str) -> None:
    assert marked(text) == f"'{text}"


def formula_tables() -> Tables:
    """Tables whose names are formulas."""
    blocks = [
        Block(
            name=f"={index}",
            operators=FORMULAS,
            weight_bits=np.full(len(FORMULAS), 4),
            activation_bits=np.full(len(FORMULAS), 8),
        )
        for index in range(2)
    ]
    values = [np.linspace(-1, 1, len(FORMULAS)), np.linspace(1, -2, len(FORMULAS))]
    return Tables.from_arrays(
        {"score": values, "-cmd": values, "size_bytes": [row[::-1] for row in values]}, blocks=blocks
    )


def cells(text: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text)) for cell in row if not row[0].startswith("#")]


def risky(text: str) -> list[str]:
    """Cells that a spreadsheet would run."""
    found = []
    for cell in cells(text):
        try:
            float(cell)
        except ValueError:
            if cell[:1] in "=+-@\t\r" and cell:
                found.append(cell)
    return found


@pytest.mark.parametrize("formulas", [False, True])
def test_tables_come_back_as_they_were(tmp_path: Path, formulas: bool) -> None:
    tables = formula_tables()
    tables.to_csv(tmp_path / "a.csv", formulas=formulas)
    text = (tmp_path / "a.csv").read_text()
    assert bool(risky(text)) == formulas
    back = Tables.from_csv(tmp_path / "a.csv")
    assert [(block.name, block.operators) for block in back.blocks] == [
        (block.name, block.operators) for block in tables.blocks
    ]
    assert list(back.columns) == list(tables.columns)
    for name, column in tables.columns.items():
        for one, other in zip(column.values, back.columns[name].values, strict=True):
            assert one.tobytes() == other.tobytes()


def test_fronts_and_evaluations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = search(
        TableProblem(formula_tables(), ["score", "-cmd", "size_bytes"]),
        evaluations=30,
        path=tmp_path / "a.h5",
        progress=False,
    )
    archive.to_csv(tmp_path / "all.csv")
    for text in (archive.front.to_csv(), (tmp_path / "all.csv").read_text()):
        assert risky(text) == []
        assert "'=1+1" in text
    assert archive.front.to_csv(formulas=True) == archive.front.to_dataframe().to_csv(index=False)
    for options in ([], ["--formulas"]):
        out = CliRunner().invoke(cli.app, ["front", str(tmp_path / "a.h5"), "--format", "csv", *options]).stdout
        assert bool(risky(out)) == bool(options)


def test_comparisons(tmp_path: Path) -> None:
    compared = compare(
        {"=case": TableProblem(formula_tables())}, ["nsga2", "random"], seeds=2, evaluations=20, progress=False
    )
    save_comparison(compared, tmp_path)
    for name in ("results.csv", "medians.csv", "statistics.csv", "ranks.csv"):
        assert risky((tmp_path / name).read_text()) == []
    assert "'=case" in (tmp_path / "results.csv").read_text()


def test_numbers_of_frames_are_not_harmed() -> None:
    frame = pd.DataFrame({"a": [-0.5, np.nan], "b": [-1, 2], "c": ["-x", None], "d": [True, False], "e": [-1.5, "=x"]})
    assert frame_csv(frame) == "a,b,c,d,e\n-0.5,-1,'-x,True,-1.5\n,2,,False,'=x\n"


def test_marked_names_of_measurements_are_known(tmp_path: Path) -> None:
    tables = formula_tables()
    rows = [",".join(("block", "operator", "weight_bits", "activation_bits", "mean", "spread", "device"))]
    for block in tables.blocks:
        for operator in block.operators:
            text = io.StringIO()
            csv.writer(text, lineterminator="").writerow([marked(block.name), marked(operator), "*", "*", 1, 0, "pi"])
            rows.append(text.getvalue())
    (tmp_path / "a.csv").write_text("\n".join(rows))
    assert join_measured(tables, tmp_path / "a.csv")[1] == ("latency_ms@pi",)


def test_the_command_line_leaves_formulas_where_asked(tmp_path: Path) -> None:
    formula_tables().save(tmp_path / "a.h5")
    for options in ([], ["--formulas"]):
        arguments = ["tables", "export", str(tmp_path / "a.h5"), "-o", str(tmp_path / "a.csv"), *options]
        assert CliRunner().invoke(cli.app, arguments).exit_code == 0
        assert bool(risky((tmp_path / "a.csv").read_text())) == bool(options)
