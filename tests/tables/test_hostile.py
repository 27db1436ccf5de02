"""Tables of strangers: damage of every kind is one sentence, and large files take time that grows with their size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_qnas.errors import TableError
from evo_qnas.tables import Tables
from evo_qnas.tables.content import Content
from evo_qnas.tables.importers import import_apq, import_haq, import_hawq, import_macro
from evo_qnas.tables.importers.apq import FIELDS
from tests.tables.test_importers import GOOD
from tests.test_reading import encrypted

HEAD = "block,operator,weight_bits,activation_bits,score\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (HEAD + '# {"column": ' + "[" * 100_000 + "\na,b,8,8,1\n", "line 2: the comment .* nested too deep"),
        (HEAD + '# {"column": "score", "fixed": ' + "1" * 400 + "}\na,b,8,8,1\n", "beyond whole numbers of 64 bits"),
        (HEAD + '# {"column": "score", "fixed": NaN}\na,b,8,8,1\n', "NaN is no number"),
        (HEAD + f"a,b,8,8,{'1' * 400}\n", r"line 2: score is beyond all numbers, got '1{60}\.\.'"),
        (HEAD + f"a,b,8,8,{'x' * 400}\n", r"line 2: score must be a number, got 'x{60}\.\.'"),
        (HEAD + f"a,b,{'1' * 400},8,1\n", r"line 2: weight_bits must be a whole number .*, got '1{60}\.\.'"),
    ],
)
def test_hostile_csv(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(TableError, match=match):
        Tables.from_csv(path)


def test_many_columns_and_blocks_take_time_that_grows_with_them(tmp_path: Path) -> None:
    """Names were counted once for each name: 20,000 of them took 20 s. Here equality is counted, not time."""
    count = 0

    class Name(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal count
            count += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    from evo_qnas.tables.content import _check_blocks
    from evo_qnas.tables.csv_reading import _column_names
    from evo_qnas.tables.generate import generate_tables

    names = [Name(f"c{index}") for index in range(2000)]
    _column_names(tmp_path, ["block", "operator", "weight_bits", "activation_bits", *names])
    block = generate_tables(1, operators=3).blocks[0]
    many = []
    for name in names:
        copied = type(block)(
            name=name,
            operators=block.operators,
            weight_bits=block.weight_bits,
            activation_bits=block.activation_bits,
        )
        many.append(copied)
    _check_blocks(tuple(many))
    assert count < 20 * len(names)
    with pytest.raises(TableError, match="block names must differ: 'c0' is there 2 times"):
        Content(blocks=(*many, many[0]), columns={})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"layer_names": None}, "layer_names must be a list of texts"),
        ({"layer_names": [1, 2]}, "layer_names must be a list of texts"),
        ({"ties": None}, "ties must be a list of lists"),
        ({"ties": [["0"]]}, "ties must be lists of layer numbers below 2"),
        ({"ties": [[-1]]}, "ties must be lists of layer numbers below 2"),
        ({"published": None}, "published must be a list of objects"),
        ({"published": [3]}, "published must be a list of objects"),
        ({"origin": {}}, "origin must be text"),
        ({"table": GOOD | {"Hutchinson_trace": None}}, "Hutchinson_trace must be a row of numbers"),
        ({"table": GOOD | {"Hutchinson_trace": [None, 1.0]}}, "Hutchinson_trace must be a row of numbers"),
        ({"table": GOOD | {"Hutchinson_trace": ["1.0", 1.0]}}, "Hutchinson_trace must be a row of numbers"),
        ({"table": GOOD | {"Hutchinson_trace": [[1.0], 1.0]}}, "Hutchinson_trace must be a row of numbers"),
        ({"table": GOOD | {"Hutchinson_trace": [10**400, 1.0]}}, "beyond whole numbers of 64 bits"),
    ],
)
def test_hostile_hawq(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps({"table": GOOD} | change))
    with pytest.raises(TableError, match=match):
        import_hawq(path)


def test_hawq_with_bits_of_many_digits_and_nested_json(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    path.write_text(json.dumps({"table": {"Hutchinson_trace": [1.0], f"delta_weights_{'9' * 5000}bit_square": [1.0]}}))
    with pytest.raises(TableError, match="has no delta_weights_<bits>bit_square"):
        import_hawq(path)
    path.write_text("[" * 100_000)
    with pytest.raises(TableError, match="nested too deep"):
        import_hawq(path)


@pytest.mark.parametrize("read", [import_haq, import_apq, import_macro])
def test_encrypted_arrays(tmp_path: Path, read: Any) -> None:
    names = ("lut", "codes", "mean_acc", "params", "flops", "key", "key_fields", "latency", "energy", "head", "tail")
    with pytest.raises(TableError, match=r"a\.npz cannot be read: .* is encrypted"):
        read(encrypted(tmp_path / "a.npz", names))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"mine": [[1' + "0" * 400 + ", 1]]}", "beyond whole numbers"),
        ("[" * 100_000, "nested too deep"),
        ("null", "is no JSON of policies"),
        ('{"mine": [["a", 1]]}', "is no JSON of policies"),
        ('{"mine": null}', "is no JSON of policies"),
    ],
)
def test_hostile_policies(tmp_path: Path, text: str, match: str) -> None:
    np.savez(tmp_path / "x.npz", lut=np.arange(8.0).reshape(2, 2, 2))
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(TableError, match=match):
        import_haq(tmp_path / "x.npz", policy=tmp_path / "p.json")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"mean_acc": np.array([1.0, np.nan])}, "mean_acc has NaN or infinity"),
        ({"codes": np.array([[0], [-1]])}, "of the operators 0 .. 2"),
        ({"codes": np.zeros((2, 5000), dtype=np.int64)}, "with at most 256 blocks"),
    ],
)
def test_hostile_macro(tmp_path: Path, change: dict[str, Any], match: str) -> None:
    arrays = {"codes": np.array([[0], [1]]), "mean_acc": np.ones(2), "params": np.ones(2), "flops": np.ones(2)}
    np.savez(tmp_path / "m.npz", **(arrays | change))
    with pytest.raises(TableError, match=match):
        import_macro(tmp_path / "m.npz")


@pytest.mark.parametrize("name", ["latency", "energy", "head", "tail"])
@pytest.mark.parametrize("value", [np.array(1.0), np.array(["a"]), np.array([1j])])
def test_hostile_apq(tmp_path: Path, name: str, value: np.ndarray) -> None:
    arrays = {
        "key": np.zeros((1, 9), dtype=np.int64),
        "key_fields": np.array(FIELDS),
        "latency": np.ones(1),
        "energy": np.ones(1),
        "head": np.ones(2),
        "tail": np.ones(2),
    }
    np.savez(tmp_path / "a.npz", **(arrays | {name: value}))
    with pytest.raises(TableError, match=rf"{name} must be a row of numbers"):
        import_apq(tmp_path / "a.npz")
