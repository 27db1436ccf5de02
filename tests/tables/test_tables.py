"""Tables in memory: sums, refusals, fewer choices."""

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.errors import TableError
from evo_qnas.tables import Block, Column, Content, Tables
from tests.problem.made import made_tables


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), fixed=st.floats(-5, 5))
def test_totals_equal_the_slow_twin(seed: int, fixed: float) -> None:
    tables = made_tables(seed, 4, fixed=fixed)
    genomes = np.random.default_rng(seed).integers(0, tables.choices, size=(7, 4))
    for row, total in zip(genomes.tolist(), tables.total("cost", genomes), strict=True):
        values = tables.columns["cost"].values
        assert total == pytest.approx(sum(values[block][choice] for block, choice in enumerate(row)) + fixed)


def test_arrays_are_copied() -> None:
    values = np.array([1.0, 2.0])
    tables = Tables.from_arrays({"score": [values]})
    values[0] = 9.0
    assert tables.columns["score"].values[0].tolist() == [1.0, 2.0]


def test_workers_get_equal_tables() -> None:
    tables = made_tables(1).with_baselines({"first": [0, 0, 0]})
    again = pickle.loads(pickle.dumps(tables))
    assert again.baselines == tables.baselines
    assert [block.labels for block in again.blocks] == [block.labels for block in tables.blocks]
    assert np.array_equal(again.columns["score"].values[1], tables.columns["score"].values[1])


def test_restrict_renumbers_baselines_and_drops_those_that_lose_a_choice() -> None:
    tables = made_tables(1).with_baselines({"kept": [1, 1, 0], "lost": [0, 0, 0]})
    fewer = tables.restrict({"b0": [1]})
    assert fewer.choices.tolist() == [1, *tables.choices[1:].tolist()]
    assert dict(fewer.baselines) == {"kept": (0, 1, 0)}
    assert fewer.columns["cost"].values[0].tolist() == [tables.columns["cost"].values[0][1]]
    assert fewer.blocks[0].labels == [tables.blocks[0].labels[1]]
    with pytest.raises(TableError, match="there is no block 'b9' to restrict"):
        tables.restrict({"b9": [0]})
    with pytest.raises(TableError, match=r"block 'b0' has the choices 0 \.\. .*, not 99"):
        tables.restrict({"b0": [99]})
    with pytest.raises(TableError, match="block 'b0' would have no choice left"):
        tables.restrict({"b0": []})


def test_drop_nan_keeps_what_has_all_numbers() -> None:
    columns = {"score": [np.array([1.0, np.nan, 3.0])], "cost": [np.array([1.0, 2.0, np.nan])]}
    stderr = {"score": [np.array([0.1, 0.2, 0.3])]}
    tables = Tables.from_arrays(columns, stderr=stderr)
    assert tables.drop_nan().columns["score"].values[0].tolist() == [1.0]
    kept = tables.drop_nan(["score"])
    assert kept.columns["score"].values[0].tolist() == [1.0, 3.0]
    assert kept.columns["score"].stderr is not None
    assert kept.columns["score"].stderr[0].tolist() == [0.1, 0.3]
    assert tables.choices.tolist() == [3]


def test_with_column_adds_and_replaces() -> None:
    tables = Tables.from_arrays({"score": [np.array([1.0, 2.0])]})
    more = tables.with_column("size_bytes", [np.array([3.0, 4.0])], unit="bytes", fixed=1.0)
    assert more.total("size_bytes", np.array([[1]])).tolist() == [5.0]
    assert more.with_column("score", [np.array([7.0, 8.0])]).columns["score"].values[0].tolist() == [7.0, 8.0]
    with pytest.raises(TableError, match="column 'short' does not have one value per choice"):
        tables.with_column("short", [np.array([3.0])])


def block(name: str = "b", operators: tuple[str, ...] = ("a",), bits: Any = (8,)) -> Block:
    widths = np.array(bits)
    return Block(name=name, operators=operators, weight_bits=widths, activation_bits=widths)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: block(operators=(), bits=np.zeros(0, int)), "block 'b' has no choice"),
        (lambda: block(bits=(8, 8)), r"block 'b' has 1 operators and weight_bits of shape \(2,\)"),
        (lambda: block(bits=(65,)), "weight_bits must be whole numbers from 0 to 64"),
        (lambda: block(bits=(-1,)), "weight_bits must be whole numbers from 0 to 64"),
        (lambda: block(name=" b"), "the block name ' b' must be printable text"),
        (lambda: block(operators=("#a",)), "the operator of block 'b' name '#a'"),
        (lambda: Column(name="a/b", values=()), "column name 'a/b' must not contain"),
        (lambda: Column(name="x_stderr", values=()), "nor end with _stderr"),
        (lambda: Content(blocks=(), columns={}), "tables need at least one block"),
        (lambda: Content(blocks=(block(), block()), columns={}), "'b' is there 2 times"),
        (lambda: Content(blocks=(block(),), columns={}, baselines={"x": (1,)}), r"baseline 'x' is no genome.*\[1\]"),
        (lambda: Content(blocks=(block(),), columns={}, ties=(("b", "c"),)), "names the block 'c'"),
        (lambda: Tables.from_arrays({}), "at least one column or the blocks"),
        (lambda: made_tables().column("nothing"), "no column 'nothing'; there are: score, cost, good"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make: Any, words: str) -> None:
    with pytest.raises(TableError, match=words):
        make()


def test_a_baseline_with_one_choice_that_is_not_there_is_refused() -> None:
    values = {"score": [np.array([1.0, 2.0])] * 3}
    for genome in ([0, 2, 0], [0, 0, -1], [2, 2, 2]):
        with pytest.raises(TableError, match=r"baseline 'whole' is no genome of these tables"):
            Tables.from_arrays(values, baselines={"whole": genome})
    assert Tables.from_arrays(values, baselines={"whole": [1, 1, 1]}).baselines["whole"] == (1, 1, 1)


def test_blocks_must_be_blocks() -> None:
    # In a process of its own: here the types of arguments are checked before the library sees them.
    code = "import numpy, evo_qnas; evo_qnas.Tables.from_arrays({'score': [numpy.ones(2)] * 2}, blocks=['a', 'b'])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "TableError: blocks must be Block(name=.., operators=.., ..) each, got 'a'" in ended.stderr


def test_what_a_mask_hides_is_no_number() -> None:
    hidden = np.ma.array([1.0, 2.0], mask=[False, True])
    tables = Tables.from_arrays({"score": [hidden]}, stderr={"score": [hidden]})
    assert np.isnan(tables.column("score").values[0]).tolist() == [False, True]
