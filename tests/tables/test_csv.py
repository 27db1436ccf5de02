"""CSV: there and back bit for bit, and every error with file and line."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.errors import TableError
from evo_qnas.tables import Block, Tables
from evo_qnas.tables.csv_writing import csv_text
from tests.problem.made import made_tables

HEAD = "block,operator,weight_bits,activation_bits,score\n"


def equal(one: Tables, other: Tables) -> None:
    """Both tables hold the same, bit for bit."""
    assert one.names == other.names
    assert [block.labels for block in one.blocks] == [block.labels for block in other.blocks]
    assert list(one.columns) == list(other.columns)
    for name, column in one.columns.items():
        twin = other.columns[name]
        for key in ("unit", "direction", "fixed", "source", "combine"):
            assert getattr(column, key) == getattr(twin, key)
        assert dict(column.details) == dict(twin.details)
        assert (column.stderr is None) == (twin.stderr is None)
        for mine, theirs in (((column.values), (twin.values)), (column.stderr or (), twin.stderr or ())):
            assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(mine, theirs, strict=True))
    assert dict(one.baselines) == dict(other.baselines)
    assert one.ties == other.ties


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), value=st.floats(allow_nan=True, allow_infinity=True), fixed=st.floats(-1e9, 1e9))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, seed: int, value: float, fixed: float) -> None:
    plain = made_tables(seed, fixed=fixed)
    rng = np.random.default_rng(seed)
    columns = {
        "score": [rng.normal(size=len(block)) for block in plain.blocks],
        "odd, name": [np.full(len(block), value) for block in plain.blocks],
    }
    tables = Tables.from_arrays(
        columns,
        blocks=plain.blocks,
        stderr={"score": [rng.random(len(block)) for block in plain.blocks]},
        units={"score": 'a "quoted" unit'},
        directions={"score": "maximize"},
        sources={"score": "measured, twice"},
        fixed={"score": fixed},
        baselines={"first": [0, 0, 0]},
        ties=[["b0", "b2"]],
    )
    path = tmp_path_factory.mktemp("csv") / "tables.csv"
    tables.to_csv(path)
    equal(Tables.from_csv(path), tables)


def test_the_plainest_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "\ufeff# measured on Monday\n" + "block,operator,weight_bits,activation_bits,latency_ms,score,score_stderr\n"
        "stem,conv,8,8,1.5,0.1,0.01\n\nbody,conv,4,8,,2e-3,0\nbody,skip,0,8,3,-1,0.5\n",
        encoding="utf-8",
    )
    tables = Tables.from_csv(path, directions={"score": "maximize"}, units={"score": "dB"})
    assert [block.labels for block in tables.blocks] == [[("conv", 8, 8)], [("conv", 4, 8), ("skip", 0, 8)]]
    assert tables.columns["latency_ms"].unit == "ms"
    assert (tables.columns["score"].unit, tables.columns["score"].direction) == ("dB", "maximize")
    assert np.isnan(tables.columns["latency_ms"].values[1][0])
    assert tables.columns["score"].stderr is not None
    assert tables.columns["score"].stderr[1].tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no rows: the header is block,operator"),
        (HEAD, "has no rows"),
        ("block,operator,weight_bits,score\na,b,8,1\n", "has no column 'activation_bits'"),
        ("block,operator,weight_bits,activation_bits\na,b,8,8\n", "has no score or cost beside"),
        (HEAD.replace("score", "score,score") + "a,b,8,8,1,1\n", "the column 'score' is there 2 times"),
        (HEAD.replace("score", "cost_stderr,x") + "a,b,8,8,1,1\n", "has 'cost_stderr' without the column 'cost'"),
        (HEAD + "a,b,8,8,1\na,c,8,8\n", "line 3: 4 cells, the header has 5"),
        (HEAD + "a,b,8,8,1\na,b,8,8,2\n", "line 3: block 'a' has the choice b 8/8 already in line 2"),
        (HEAD + "# note\n\na,b,8,8,fast\n", "line 4: score must be a number, got 'fast'"),
        (HEAD + "a,b,8.5,8,1\n", r"line 2: weight_bits must be a whole number from 0 to 64, got '8\.5'"),
        (HEAD + "a,b,8,65,1\n", "line 2: activation_bits must be a whole number from 0 to 64, got '65'"),
        (HEAD + "a,b,8,-8,1\n", "line 2: activation_bits must be"),
        (HEAD + ",b,8,8,1\n", "line 2: block and operator must not be empty"),
        (HEAD + 'a,"b,8,8,1\n', "line 2: no readable CSV"),
        (HEAD + '# {"column": "score", "units": "ms"}\na,b,8,8,1\n', "line 2: a column has unit, direction, source"),
        (HEAD + "# {column}\na,b,8,8,1\n", "line 2: the comment is no JSON that can be used"),
        (HEAD + '# {"tied": ["a"]}\na,b,8,8,1\n', "line 2: a comment in braces describes a column, a baseline"),
        (HEAD + '# {"column": "size"}\na,b,8,8,1\n', "has no column 'size' to describe; there are: score"),
        (HEAD + '# {"column": "score", "direction": "up"}\na,b,8,8,1\n', "the direction is minimize or maximize"),
        (HEAD + '# {"baseline": "x", "genome": [3]}\na,b,8,8,1\n', "baseline 'x' is no genome of these tables"),
    ],
)
def test_errors_name_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=rf"mine\.csv.*{words}") as caught:
        Tables.from_csv(path)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TableError, match=r"b\.csv is no UTF-8 text"):
        Tables.from_csv(tmp_path / "b.csv")
    with pytest.raises(TableError, match=r"none\.csv cannot be read: No such file"):
        Tables.from_csv(tmp_path / "none.csv")


def test_a_choice_that_is_there_twice_cannot_be_written() -> None:
    bits = np.array([4, 4])
    block = Block(name="b", operators=("a", "a"), weight_bits=bits, activation_bits=bits)
    twice = Tables.from_arrays({"score": [np.array([1.0, 2.0])]}, blocks=[block])
    with pytest.raises(TableError, match="block 'b' has a choice twice"):
        csv_text(twice.content)


def test_largest_columns_and_details_come_back(tmp_path: Path) -> None:
    tables = made_tables(1).with_column(
        "peak",
        [np.arange(len(block), dtype=float) for block in made_tables(1).blocks],
        combine="max",
        fixed=1.5,
        stderr=[np.full(len(block), 0.1) for block in made_tables(1).blocks],
        details={"device": "pi4", "rounds": 60, "errors": [0.5, 1.0]},
    )
    tables.to_csv(tmp_path / "t.csv")
    equal(Tables.from_csv(tmp_path / "t.csv"), tables)
    genomes = np.array([[0, 0, 0], [1, 0, 1]])
    assert tables.total("peak", genomes).tolist() == [1.5, 1.5]
    last = np.array([[len(block) - 1 for block in tables.blocks]])
    assert tables.total("peak", last).tolist() == [max(1.5, *(len(block) - 1.0 for block in tables.blocks))]


@pytest.mark.parametrize(
    ("said", "text"),
    [({"combine": "product"}, "blocks combine by sum or max, not 'product'"), ({"details": 3}, "not details = 3")],
)
def test_odd_descriptions_of_a_column_get_one_sentence(tmp_path: Path, said: dict[str, object], text: str) -> None:
    made_tables(1).to_csv(tmp_path / "t.csv")
    line = json.dumps({"column": "cost", **said})
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text() + f"# {line}\n")
    with pytest.raises(TableError, match=text):
        Tables.from_csv(tmp_path / "t.csv")
