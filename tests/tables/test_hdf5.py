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
        assert file["blocks/001/columns/peak"].attrs["combine"] == "max"
        assert json.loads(file["blocks/001/columns/peak"].attrs["details"]) == {"rounds": 60, "device": "pi4"}
        assert "combine" not in file["blocks/001/columns/cost"].attrs


def test_equal_tables_are_equal_files() -> None:
    assert content_image(full_tables().content) == content_image(full_tables().content)


def test_plain_h5py_reads_it(tmp_path: Path) -> None:
    full_tables().save(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert (file.attrs["format"], file.attrs["schema"]) == ("evo_qnas.tables", 1)
        block = file["blocks/001"]
        assert block.attrs["name"] == "b1"
        assert block["operator"].asstr()[()].tolist() == list(full_tables().blocks[1].operators)
        cost = block["columns/cost"]
        assert (cost.attrs["unit"], cost.attrs["direction"], cost.attrs["source"]) == ("µs", "minimize", "measured")
        assert np.array_equal(cost[()], full_tables().columns["cost"].values[1])
        assert file["baselines/teacher_int8"][()].tolist() == [0, 1, 0, 1]
        assert file["ties/000"].asstr()[()].tolist() == ["b0", "b3"]


COST = "blocks/000/columns/cost"


def replaced(file: h5py.File, name: str, **settings: object) -> None:
    """Another dataset under the name of an old one, with its attributes."""
    said = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, **settings).attrs.update(said)


def external(file: h5py.File) -> None:
    del file["blocks/000/weight_bits"]
    file["blocks/000/weight_bits"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft(file: h5py.File) -> None:
    del file["fixed"]
    file["fixed"] = h5py.SoftLink("/blocks")


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(2,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(2,))
    del file["blocks/000/columns/cost"]
    file.create_virtual_dataset("blocks/000/columns/cost", layout)


def duplicated(file: h5py.File) -> None:
    replaced(file, "columns", data=np.array(["score", "score"], dtype=object), dtype=h5py.string_dtype())


DAMAGE: list[tuple[Callable[[h5py.File], object], str]] = [
    (external, "is a link to another place, which is not followed"),
    (soft, "is a link to another place"),
    (virtual, "lies in another file"),
    (lambda f: replaced(f, COST, shape=(10**12,), dtype="f8"), "declares 8000000000000 bytes"),
    (lambda f: replaced(f, COST, shape=(10**9,), dtype="f8", chunks=(10**6,)), "declares 8000000000"),
    (lambda f: replaced(f, COST, data=np.zeros((2, 2))), "must hold one row of numbers"),
    (lambda f: replaced(f, COST, data=np.zeros(99)), "does not have one value per choice"),
    (lambda f: replaced(f, COST, data=np.zeros(2, dtype=complex)), "must hold one row of numbers"),
    (lambda f: replaced(f, "blocks/000/operator", data=np.zeros(2)), "must hold one row of text"),
    (lambda f: replaced(f, "blocks/000/weight_bits", data=np.full(2, 8.5)), "must hold one row of integers"),
    (lambda f: replaced(f, "blocks/000/weight_bits", data=np.full(len(f["blocks/000/operator"]), 99)), "from 0 to 64"),
    (lambda f: replaced(f, "baselines/teacher_int8", data=np.full(4, 99)), "baseline 'teacher_int8' is no genome"),
    (duplicated, "names a column twice"),
    (lambda f: f["blocks/002/columns/cost"].attrs.__setitem__("unit", "ms"), "'cost' is .*'ms'.* in block 2, but"),
    (lambda f: f["blocks/002"].attrs.__setitem__("name", "b0"), "block names must differ: 'b0'"),
    (lambda f: f["blocks/002"].attrs.__delitem__("name"), "has no attribute 'name'"),
    (lambda f: f["blocks/002"].attrs.__setitem__("name", np.arange(3)), "must be a single value"),
    (lambda f: f.__delitem__("fixed"), "has no 'fixed'"),
    (lambda f: f.attrs.__setitem__("schema", 2), "has the schema 2, this version reads up to 1: update evo_qnas"),
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
        offset = file["columns"].id.get_offset()
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
