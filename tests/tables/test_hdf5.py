"""HDF5: there and back, and files of strangers."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from evo_qnas.errors import TableError
from evo_qnas.files import Seal
from evo_qnas.tables import Tables
from evo_qnas.tables.hdf5 import content_image
from tests.problem.made import made_tables
from tests.tables.test_csv import equal


def full_tables() -> Tables:
    plain = made_tables(5, 4, fixed=2.5)
    stderr = {"score": [np.full(len(block), 0.25) for block in plain.blocks]}
    columns = {name: column.values for name, column in plain.columns.items()}
    return Tables.from_arrays(
        columns,
        blocks=plain.blocks,
        stderr=stderr,
        units={"cost": "µs"},
        directions={"good": "maximize"},
        sources={"cost": "measured"},
        fixed={"cost": 2.5},
        baselines={"teacher_int8": [0, 1, 0, 1]},
        ties=[["b0", "b3"]],
    )


def test_there_and_back(tmp_path: Path) -> None:
    tables = full_tables()
    tables.save(tmp_path / "t.h5")
    equal(Tables.load(tmp_path / "t.h5"), tables)


def test_largest_columns_and_details_come_back(tmp_path: Path) -> None:
    tables = full_tables()
    values = tables.columns["cost"].values
    given = tables.with_column("peak", values, combine="max", details={"rounds": 60, "device": "pi4"})
    given.save(tmp_path / "t.h5")
    equal(Tables.load(tmp_path / "t.h5"), given)
    with h5py.File(tmp_path / "t.h5") as file:
        peak = json.loads(file["column"].asstr()[-1])
        assert (peak["name"], peak["combine"], peak["details"]) == ("peak", "max", {"rounds": 60, "device": "pi4"})


def test_equal_tables_are_equal_files() -> None:
    assert content_image(full_tables().content) == content_image(full_tables().content)


def test_plain_h5py_reads_it(tmp_path: Path) -> None:
    tables = full_tables()
    tables.save(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert (file.attrs["format"], file.attrs["schema"]) == ("evo_qnas.tables", 2)
        assert file["block"].asstr()[()].tolist() == list(tables.names)
        stop = np.cumsum(file["choices"][()])
        second = slice(stop[0], stop[1])
        operators = file["operator_name"].asstr()[()][file["operator"][second]]
        assert operators.tolist() == list(tables.blocks[1].operators)
        assert file["weight_bits"][second].tolist() == tables.blocks[1].weight_bits.tolist()
        stated = [json.loads(text) for text in file["column"].asstr()[()]]
        row = [column["name"] for column in stated].index("cost")
        assert [stated[row][name] for name in ("unit", "direction", "source")] == ["µs", "minimize", "measured"]
        assert np.array_equal(file["values"][row, second], tables.columns["cost"].values[1])
        assert file["fixed"][row] == 2.5
        assert (file["baseline_name"].asstr()[0], file["baseline"][0].tolist()) == ("teacher_int8", [0, 1, 0, 1])
        assert json.loads(file["tie"].asstr()[0]) == ["b0", "b3"]


def test_a_file_holds_few_objects_however_many_blocks(tmp_path: Path) -> None:
    counts = []
    for blocks in (2, 20):
        made_tables(blocks, 3).save(tmp_path / "t.h5")
        with h5py.File(tmp_path / "t.h5") as file:
            counts.append(len(file))
    assert counts == [13, 13]


def replaced(file: h5py.File, name: str, **settings: object) -> None:
    """Another dataset under the name of an old one."""
    del file[name]
    file.create_dataset(name, **settings)


def external(file: h5py.File) -> None:
    del file["weight_bits"]
    file["weight_bits"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft(file: h5py.File) -> None:
    del file["fixed"]
    file["fixed"] = h5py.SoftLink("/operator")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(2,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(2,))
    del file["values"]
    file.create_virtual_dataset("values", layout)


def said(file: h5py.File, row: int, **words: object) -> None:
    """Other words of a column about itself."""
    texts = file["column"].asstr()[()].tolist()
    texts[row] = json.dumps({**json.loads(texts[row]), **words})
    written(file, "column", texts)


def written(file: h5py.File, name: str, texts: list[str]) -> None:
    """Other texts under the name of old ones."""
    replaced(file, name, data=np.array(texts, dtype=object), dtype=h5py.string_dtype())


def with_value(file: h5py.File, name: str, value: float) -> None:
    """An array with another first number."""
    file[name][0] = value


DAMAGE: list[tuple[Callable[[h5py.File], object], str]] = [
    (external, "is a link to another place, which is not followed"),
    (soft, "is a link to another place"),
    (virtual, "lies in another file"),
    (lambda f: replaced(f, "values", shape=(10**6, 10**6), dtype="f8"), "declares 8000000000000 bytes"),
    (lambda f: replaced(f, "values", shape=(1, 10**9), dtype="f8", chunks=(1, 10**6)), "declares 8000000000"),
    (lambda f: replaced(f, "values", data=np.zeros(9)), "must hold rows of numbers"),
    (lambda f: replaced(f, "fixed", data=np.zeros((2, 2))), "must hold one row of numbers"),
    (lambda f: replaced(f, "values", data=np.zeros((1, 3))), "are not equally many"),
    (lambda f: replaced(f, "values", data=np.zeros((len(f["column"]), 1))), "does not have one value per choice"),
    (lambda f: replaced(f, "values", data=np.zeros((2, 2), dtype=complex)), "must hold rows of numbers"),
    (lambda f: replaced(f, "operator_name", data=np.zeros(2)), "must hold one row of text"),
    (lambda f: replaced(f, "weight_bits", data=np.full(2, 8.5)), "must hold one row of integers"),
    (lambda f: replaced(f, "weight_bits", data=np.full(2, 8)), "are not one per choice of every block"),
    (lambda f: with_value(f, "weight_bits", 99), "from 0 to 64"),
    (lambda f: with_value(f, "operator", 99), "an operator that operator_name does not have"),
    (lambda f: with_value(f, "choices", -1), "the numbers of choices"),
    (lambda f: replaced(f, "baseline", data=np.full((1, 4), 99)), "baseline 'teacher_int8' is no genome"),
    (lambda f: replaced(f, "baseline", data=np.zeros((2, 4), dtype=int)), "2 baselines and 1 names"),
    (lambda f: said(f, 1, name=json.loads(f["column"].asstr()[0])["name"]), "names a column twice"),
    (lambda f: said(f, 0, unit=3), "the unit of column .* must be text"),
    (lambda f: said(f, 0, direction="up"), "has the direction 'up', not minimize or maximize"),
    (lambda f: said(f, 0, combine="mean"), "combines blocks by 'mean', not sum or max"),
    (lambda f: said(f, 0, details=[1]), "the details of column .* are no JSON object"),
    (lambda f: said(f, 1, stderr=True), "are not equally many"),
    (lambda f: written(f, "column", ["[" * 100_000] * len(f["column"])), "a column is no JSON"),
    (lambda f: written(f, "tie", ["3"]), "a tie is no JSON list"),
    (lambda f: written(f, "block", ["b0", "b1", "b0", "b3"]), "block names must differ: 'b0'"),
    (lambda f: f.__delitem__("fixed"), "has no 'fixed'"),
    (lambda f: f.attrs.__setitem__("schema", 3), "has the schema 3, this version reads 2: update evo_qnas"),
    (lambda f: f.attrs.__setitem__("schema", 1), "has the schema 1 of an earlier version, this one has 2: make"),
    (lambda f: f.attrs.__setitem__("schema", np.arange(3)), "must be a single value"),
    (lambda f: f.attrs.__setitem__("schema", "1"), "'schema' of / must be an integer"),
    (lambda f: f.attrs.__setitem__("format", "evo_qnas.archive"), "its format is 'evo_qnas.archive'"),
    (lambda f: f.attrs.__delitem__("format"), "is no tables file"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), DAMAGE)
def test_files_of_strangers(tmp_path: Path, damage: Callable[[h5py.File], object], words: str) -> None:
    path = tmp_path / "t.h5"
    path.write_bytes(content_image(full_tables().content))
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(TableError, match=words) as caught:
        Tables.load(path)
    assert "\n" not in str(caught.value)
    assert "t.h5" in str(caught.value)


def test_unsealed_files_of_other_makers_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.h5").write_bytes(content_image(full_tables().content))
    equal(Tables.load(tmp_path / "t.h5"), full_tables())


def test_every_changed_byte_of_a_saved_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    full_tables().save(path)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(16, len(whole), size=60):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(TableError, match="is a damaged tables file"):
            Tables.load(path)


def refusal(path: Path) -> str:
    """Why a file is refused; empty where it loads."""
    try:
        Tables.load(path)
    except TableError as error:
        return str(error)
    return ""


def test_damaged_files_without_a_seal_raise_one_sentence_or_load(tmp_path: Path) -> None:
    path, whole = tmp_path / "t.h5", content_image(made_tables(1, 2).content)
    rng, refused = np.random.default_rng(0), 0
    for trial in range(150):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            damaged = damaged[: rng.integers(0, len(whole))]
        for place in rng.integers(0, max(len(damaged), 1), size=rng.integers(1, 20)):
            if damaged:
                damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        message = refusal(path)
        refused += bool(message)
        assert "\n" not in message
    assert refused > 100


def test_texts_longer_than_the_file_take_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    path.write_bytes(content_image(full_tables().content))
    with h5py.File(path) as file:
        offset = file["column"].id.get_offset()
    damaged = bytearray(path.read_bytes())
    damaged[offset : offset + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(damaged)
    with pytest.raises(TableError, match="declares texts that are longer than the file"):
        Tables.load(path)


def test_no_file_and_no_hdf5(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no tables file"):
        Tables.load(tmp_path / "none.h5")
    (tmp_path / "a.h5").write_text("block,operator\n")
    with pytest.raises(TableError, match=r"a\.h5 is no readable HDF5 file"):
        Tables.load(tmp_path / "a.h5")


@pytest.mark.parametrize("sealed", [True, False])
def test_a_heap_of_texts_that_never_ends_is_refused(tmp_path: Path, sealed: bool) -> None:
    """An object of no size: libhdf5 would go round for ever."""
    path = tmp_path / "t.h5"
    Tables.from_arrays({name: [np.array([1.0, 2.0])] * 2 for name in ("score", "size_bytes")}).save(path)
    image = bytearray(path.read_bytes()[512:])
    at = image.index(b"GCOL") + 16
    image[at : at + 16] = bytes(16)
    path.write_bytes(Seal.of(bytes(image)).pack() + image if sealed else bytes(image))
    with pytest.raises(TableError, match="is a damaged tables file: its texts are damaged"):
        Tables.load(path)
