"""A user's own measurements: a made-up device drives a search, odd rows get one sentence each."""

from pathlib import Path

import numpy as np
import pytest

from evo_qnas import TableProblem, search
from evo_qnas.errors import TableError
from evo_qnas.tables import Tables
from evo_qnas.tables.measured import join_measured
from tests.problem.made import made_tables

HEADER = "block,operator,weight_bits,activation_bits,mean,spread,device"


def rows_of(tables: Tables, device: str, factor: float) -> list[str]:
    """A made-up device: the more bits, the longer."""
    return [
        f"{block.name},{operator},{weight},{activation},{factor * (index + weight * len(operator)):.3f},0.01,{device}"
        for index, block in enumerate(tables.blocks)
        for operator, weight, activation in block.labels
    ]


def joined(folder: Path, tables: Tables, *lines: str, header: str = HEADER) -> Tables:
    path = folder / "mine.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return join_measured(tables, path)[0]


def test_a_made_up_device_drives_a_search(tmp_path: Path) -> None:
    plain = made_tables(2)
    lines = [*rows_of(plain, "board", 1.0), "(fixed),,,,2.5,,board", *rows_of(plain, "other", 2.0)]
    tables = joined(tmp_path, plain, *lines)
    column = tables.columns["latency_ms@board"]
    assert (column.unit, column.fixed) == ("ms", 2.5)
    assert column.stderr is not None
    assert column.stderr[0].tolist() == [0.01] * len(plain.blocks[0])
    assert "measured on board: mine.csv; a plain sum of blocks" in column.source
    assert "without the fixed part" in tables.columns["latency_ms@other"].source
    label = plain.blocks[1].labels[1]
    assert column.values[1][1] == pytest.approx(1 + label[1] * len(label[0]))
    reach = float(
        np.sort(
            tables.total("latency_ms@board", np.stack(np.meshgrid(*map(np.arange, plain.choices)), -1).reshape(-1, 3))
        )[3]
    )
    problem = TableProblem(tables, ["score", "latency_ms@board"], [f"latency_ms@board <= {reach}"])
    archive = search(problem, evaluations=60, population=10, seed=0, path=tmp_path / "a.h5")
    assert len(archive.front.genomes)
    assert (tables.total("latency_ms@board", archive.front.genomes) <= reach + 1e-9).all()
    joint = search(
        TableProblem(tables, ["score", "worst:latency_ms"]), evaluations=60, population=10, path=tmp_path / "b.h5"
    )
    sums = [tables.total(f"latency_ms@{device}", joint.front.genomes) for device in ("board", "other")]
    np.testing.assert_allclose(joint.front.objectives[:, 1], np.max(sums, axis=0))


def test_the_most_exact_row_counts(tmp_path: Path) -> None:
    plain = made_tables(2)
    name = plain.blocks[0].name
    wide = [f"{block.name},{operator},*,*,9,," for block in plain.blocks for operator in dict.fromkeys(block.operators)]
    wide = [f"{line}pi" for line in wide]
    operator = plain.blocks[0].operators[0]
    tables = joined(tmp_path, plain, *wide, f"{name},{operator},*,<8,3,,pi", f"{name},{operator},4,*,5,,pi")
    for label, value in zip(plain.blocks[0].labels, tables.columns["latency_ms@pi"].values[0], strict=True):
        # The made tables have 4/4 and 8/8: weight bits given as a number beat activation bits below 8.
        assert value == (5 if label[0] == operator and label[1] == 4 else 9)
    tables = joined(tmp_path, plain, *wide, f"{name},{operator},*,<8,3,,pi")
    for label, value in zip(plain.blocks[0].labels, tables.columns["latency_ms@pi"].values[0], strict=True):
        assert value == (3 if label[0] == operator and label[2] < 8 else 9)


def test_energy_and_other_units_have_columns_of_their_own(tmp_path: Path) -> None:
    plain = made_tables(2)
    header = f"{HEADER},metric,unit"
    lines = [f"{line},energy,mJ" for line in rows_of(plain, "pi", 1.0)]
    tables = joined(
        tmp_path, plain, *lines, *(f"{line},latency_us,us" for line in rows_of(plain, "pi", 1.0)), header=header
    )
    assert [name for name in tables.columns if "@" in name] == ["energy_mj@pi", "latency_us@pi"]
    assert tables.columns["energy_mj@pi"].unit == "mJ"


def mean_of(line: str, value: str) -> str:
    cells = line.split(",")
    return ",".join([*cells[:4], value, *cells[5:]])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda rows: rows[1:], r"no row of latency_ms@pi for block 'b0', choice conv 4/4: measure every choice"),
        (lambda rows: rows[2:], r"choice conv 4/4 and 1 more"),
        (lambda rows: [*rows, rows[0]], r"line \d+: block 'b0', conv 4/4 of latency_ms@pi is already in line 2"),
        (
            lambda rows: [mean_of(rows[0], "-1"), *rows[1:]],
            r"line 2: mean must be a finite number of at least 0, got -1",
        ),
        (lambda rows: [mean_of(rows[0], "nan"), *rows[1:]], r"line 2: mean must be a finite number .* got nan"),
        (lambda rows: [mean_of(rows[0], "fast"), *rows[1:]], r"line 2: mean must be a number, got 'fast'"),
        (lambda rows: [mean_of(rows[0], ""), *rows[1:]], r"line 2: mean must be a number, got ''"),
        (lambda rows: [rows[0].replace("0.01", "-2"), *rows[1:]], r"line 2: spread must be a finite number"),
        (lambda rows: [*rows, "b9,conv,4,4,1,0,pi"], r"the tables have no block 'b9'; the nearest are: b"),
        (lambda rows: [*rows, "b0,konv,4,4,1,0,pi"], r"block 'b0' has no operator 'konv'; the nearest are: conv"),
        (lambda rows: [*rows, "b0,conv,few,4,1,0,pi"], r"weight_bits must be a number or \*, got 'few'"),
        (lambda rows: [*rows, "b0,conv,4,4,1,0,"], r"device must not be empty"),
        (lambda rows: [*rows, "b0,conv,4"], r"does not have as many cells as the header"),
        (lambda rows: [], r"has no rows"),
    ],
    ids=[
        "missing",
        "missing two",
        "twice",
        "negative",
        "nan",
        "text",
        "empty",
        "spread",
        "block",
        "operator",
        "bits",
        "device",
        "short",
        "none",
    ],
)
def test_odd_rows_get_one_sentence(change: object, text: str, tmp_path: Path) -> None:
    tables = made_tables(2)
    lines = change(rows_of(tables, "pi", 1.0))  # type: ignore[operator]
    with pytest.raises(TableError, match=text) as caught:
        joined(tmp_path, tables, *lines)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "line", "text"),
    [
        ("block,operator,mean,spread,device", "b0,conv,1,0,pi", "has no column 'weight_bits'"),
        (f"{HEADER},units", "b0,conv,4,4,1,0,pi,ms", "no use for the column 'units'; the nearest are: unit"),
        (
            f"{HEADER},unit",
            "b0,conv,4,4,1,0,pi,ms\nb0,conv,8,8,1,0,pi,us",
            "line 3: the unit of latency@pi is 'us', in line 2",
        ),
    ],
)
def test_odd_headers_get_one_sentence(header: str, line: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=text):
        joined(tmp_path, made_tables(2), line, header=header)
    with pytest.raises(TableError, match=r"none\.csv cannot be read"):
        join_measured(made_tables(2), tmp_path / "none.csv")
