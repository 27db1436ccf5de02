"""Readers of tables and archives: CSV, importers, measurements, HDF5."""

import csv
import io
import json
import shutil
import struct
import zipfile
from pathlib import Path
from typing import Any, final

import numpy as np

from benchmarks.fuzz_files import BYTES, CONTENT, damaged_content, make_files
from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.values import VALUES, Rng, any_of, damaged_bytes, damaged_json, damaged_text
from evo_qnas.archive import Archive
from evo_qnas.tables import Tables
from evo_qnas.tables.csv_writing import csv_text
from evo_qnas.tables.generate import generate_tables
from evo_qnas.tables.importers import import_haq, import_tables
from evo_qnas.tables.importers.apq import _LAYOUT, FIELDS
from evo_qnas.tables.measured import join_measured


def good_csv() -> str:
    """Tables with everything that CSV can hold."""
    tables = generate_tables(3, operators=3)
    return csv_text(tables.content)


def damaged_csv(text: str, rng: Rng) -> bytes:
    """CSV with odd cells, rows, columns or comments, or damaged as text."""
    lines = text.splitlines()
    comments = [line for line in lines if line.startswith("#")]
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    how = int(rng.integers(10))
    if how == 0 and comments:
        at = int(rng.integers(len(comments)))
        comments[at] = "# " + damaged_json(json.loads(comments[at][1:]), rng).decode("utf-8", "replace")
    elif how == 1:
        rows += [list(row) for row in rows[1:3] for _ in range(int(any_of((1, 300), rng)))]
    elif how == 2:
        many = int(any_of((1, 5, 3000), rng))
        for row in rows:
            row[len(row) :] = [any_of(("1", "", "x"), rng)] * many
        rows[0][-many:] = [f"c{index}" for index in range(many)]
    elif how == 3:
        rng.shuffle(rows)
    elif how == 4:
        column = int(rng.integers(len(rows[0])))
        for row in rows:
            del row[column]
    elif how in (5, 6):
        return damaged_text(text, rng)
    else:
        for _ in range(int(rng.integers(1, 5))):
            row = rows[int(rng.integers(0 if rng.random() < 0.3 else min(1, len(rows) - 1), len(rows)))]
            row[int(rng.integers(len(row)))] = _cell(rng)
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(rows)
    return ("\n".join(comments) + "\n" + made.getvalue()).encode("utf-8", "surrogatepass")


def _cell(rng: Rng) -> str:
    value = any_of(
        (*VALUES, "1e400", "-inf", "nan", "1_0", "\u0661", "0x10", "1,5", "1" * 400, '"', "#x", "<8", "*"), rng
    )
    return str(value)


@final
class Csv(Reader):
    """Long CSV of tables."""

    name = "csv"

    def make_good(self, folder: Path) -> None:
        (folder / "tables.csv").write_text(good_csv(), encoding="utf-8")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        (case / "tables.csv").write_bytes(damaged_csv((good / "tables.csv").read_text(encoding="utf-8"), rng))
        return "csv"

    def read(self, case: Path) -> None:
        tables = Tables.from_csv(case / "tables.csv")
        tables.check()
        tables.save(case / "out.h5")

    def command(self, case: Path) -> list[str]:
        return ["tables", "check", str(case / "tables.csv")]


@final
class Measured(Reader):
    """CSV of a device's measurements."""

    name = "measured"

    def make_good(self, folder: Path) -> None:
        tables = generate_tables(2, operators=2)
        tables.save(folder / "tables.h5")
        rows = ["block,operator,weight_bits,activation_bits,mean,spread,device,metric,unit"]
        for block in tables.blocks:
            rows += [
                f"{block.name},{operator},{weight},{'<8' if activation < 8 else activation},0.5,0.1,pi4,latency,ms"
                for operator, weight, activation in dict.fromkeys(block.labels)
                if activation in (4, 8)
            ]
        rows.append("(fixed),,,,0.1,0,pi4,latency,ms")
        (folder / "pi4.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        join_measured(tables, folder / "pi4.csv")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        (case / "pi4.csv").write_bytes(damaged_csv((good / "pi4.csv").read_text(encoding="utf-8"), rng))
        shutil.copy(good / "tables.h5", case)
        return "measured csv"

    def read(self, case: Path) -> None:
        join_measured(Tables.load(case / "tables.h5"), case / "pi4.csv")

    def command(self, case: Path) -> list[str]:
        return ["tables", "join", str(case / "tables.h5"), str(case / "pi4.csv"), "-o", str(case / "out.h5")]


HAWQ: dict[str, Any] = {
    "origin": "HAWQ-V3",
    "table": {
        "Hutchinson_trace": [1.0, 0.5, 0.25],
        "delta_weights_4bit_square": [0.5, 0.25, 0.125],
        "delta_weights_8bit_square": [0.05, 0.025, 0.0125],
        "parameters": [100, 200, 300],
        "bops": [1e6, 2e6, 3e6],
        "latency_int4": [0.1, 0.2, 0.3],
        "latency_int8": [0.2, 0.3, 0.4],
    },
    "layer_names": ["a", "b", "c"],
    "ties": [[0, 2]],
    "published": [{"net": "r18", "scheme": "x", "weight_bits": [4, 8, 4]}],
}


@final
class Hawq(Reader):
    """JSON of HAWQ-V3."""

    name = "hawq"

    def make_good(self, folder: Path) -> None:
        (folder / "a.json").write_text(json.dumps(HAWQ), encoding="utf-8")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        (case / "a.json").write_bytes(damaged_json(json.loads((good / "a.json").read_text(encoding="utf-8")), rng))
        return "json"

    def read(self, case: Path) -> None:
        import_tables(case / "a.json", kind="hawq").check()

    def command(self, case: Path) -> list[str]:
        return ["tables", "import", str(case / "a.json"), "-o", str(case / "out.h5")]


def member(value: np.ndarray) -> bytes:
    """An `.npy` file of an array."""
    file = io.BytesIO()
    np.lib.format.write_array(file, value, allow_pickle=True)
    return file.getvalue()


_SHAPES = ("(-1,)", "(2**40,)", f"({2**62},)", "()", "(0,)", "(1,)*3", "(3, 10**9)", "('a',)", "(1.5,)", "None")
_KINDS = ("|O", "<f8", "<U99999", "<c16", "<M8[s]", "V0", ">u8", "<i4", "f", "x", "<S2147483647")


def damaged_member(raw: bytes, rng: Rng) -> bytes:
    """An `.npy` file whose head says something else, or with damaged bytes."""
    if rng.random() < 0.3:
        return damaged_bytes(raw, rng)
    start = 10 + struct.unpack("<H", raw[8:10])[0]
    known = raw[10:start].decode("latin-1")
    shape = known[known.index("'shape': ") + 9 : known.rindex(",")]
    descr = known[known.index("'descr': ") + 9 : known.index(", 'fortran")]
    if rng.random() < 0.6:
        shape = any_of(_SHAPES, rng)
    else:
        descr = repr(any_of(_KINDS, rng)) if rng.random() < 0.9 else "[('a', '<f8')]"
    head = f"{{'descr': {descr}, 'fortran_order': {any_of((False, True, 'x'), rng)}, 'shape': {shape}, }}".encode()
    version = any_of((b"\x01\x00", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"), rng)
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(head)) + head + raw[start:]


def damaged_array(value: np.ndarray, rng: Rng) -> np.ndarray:  # noqa: PLR0911 - a return for each damage
    """An array of another kind, shape or with odd values."""
    how = int(rng.integers(8))
    if how == 0:
        kinds = ["f4", "f2", "i1", "u8", "c16", "bool", "M8[s]", "U8", "S3", "O", "V8", ">f8"]
        with np.errstate(all="ignore"):
            try:
                return value.astype(any_of(kinds, rng))
            except (TypeError, ValueError):
                return np.zeros(value.shape, dtype="c16")
    if how == 1:
        return value.reshape(any_of((-1, (1, *value.shape), (*value.shape, 1)), rng))
    if how == 2:
        return value[: int(rng.integers(len(value) + 1))] if value.ndim else value
    if how == 3:
        return np.zeros((0, *value.shape[1:]), dtype=value.dtype)
    if how == 4:
        # A bomb: many zeros in few bytes.
        return np.zeros((200, *value.shape), dtype=value.dtype) if value.size < 200_000 else value
    if how == 5 and value.dtype.kind in "iu":
        changed = value.copy() if rng.random() < 0.5 else value.astype(any_of(("i8", "u8"), rng))
        limits = np.iinfo(changed.dtype)
        changed.flat[int(rng.integers(max(value.size, 1))) if value.size else slice(0)] = any_of(
            (limits.max, limits.min, min(limits.max, 2**40), 0), rng
        )
        return changed
    if value.dtype.kind in "iuf" and value.size:
        changed = value.astype(np.float64)
        changed.flat[int(rng.integers(value.size))] = any_of(
            (np.nan, np.inf, -np.inf, 1e300, -1e300, -1.0, 1e-300), rng
        )
        return changed
    return value


def damaged_npz(arrays: dict[str, np.ndarray], path: Path, rng: Rng) -> str:
    """Writes an `.npz` with odd arrays, heads, members or bytes."""
    members = {f"{name}.npy": member(value) for name, value in arrays.items()}
    what = "arrays"
    for _ in range(int(any_of((1, 1, 2), rng))):
        name = any_of(arrays, rng)
        raw = member(damaged_array(arrays[name], rng) if rng.random() < 0.7 else arrays[name])
        members[f"{name}.npy"] = damaged_member(raw, rng) if rng.random() < 0.35 else raw
    if rng.random() < 0.1:
        members.pop(any_of(members, rng))
    if rng.random() < 0.05:
        members[any_of(("\x1b[2J.npy", "../x.npy", "x" * 2000 + ".npy"), rng)] = b""
    method = any_of((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA), rng)
    with zipfile.ZipFile(path, "w", method) as file:
        for name, raw in members.items():
            file.writestr(name, raw)
    if rng.random() < 0.25:
        what = "zip bytes"
        path.write_bytes(damaged_bytes(path.read_bytes(), rng))
    return what


class Npz(Reader):
    """A published table of arrays."""

    arrays: dict[str, np.ndarray]

    def make_good(self, folder: Path) -> None:
        np.savez(folder / "a.npz", **self.arrays)

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        return damaged_npz(self.arrays, case / "a.npz", rng)

    def read(self, case: Path) -> None:
        import_tables(case / "a.npz", kind=self.name).check()

    def command(self, case: Path) -> list[str]:
        return ["tables", "import", str(case / "a.npz"), "-o", str(case / "out.h5")]


@final
class Haq(Npz):
    """HAQ's costs, with policies beside them."""

    name = "haq"
    arrays = {"lut": np.random.default_rng(0).random((5, 8, 8))}
    policy = {"a": [[4, 4]] * 5, "b": [[8, -1]] + [[2, 6]] * 4}

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        if rng.random() < 0.5:
            np.savez(case / "a.npz", **self.arrays)
            (case / "haq_published_policy.json").write_bytes(damaged_json(self.policy, rng))
            return "policy json"
        return damaged_npz(self.arrays, case / "a.npz", rng)

    def read(self, case: Path) -> None:
        import_haq(case / "a.npz")


def _apq() -> dict[str, np.ndarray]:
    """The few layers that give each of APQ's blocks one choice."""
    keys = []
    for into, out, size, stride, _ in _LAYOUT:
        middle = into * 3
        keys += [
            (into, middle, size, 1, 1, 0, 1, 4, 6),
            (middle, middle, size, 3, stride, 1, middle, 4, 6),
            (middle, out, size // stride, 1, 1, 0, 1, 4, 6),
        ]
    key = np.array(sorted(set(keys)), dtype=np.int64)
    rng = np.random.default_rng(0)
    return {
        "key": key,
        "key_fields": np.array(FIELDS),
        "latency": rng.random(len(key)),
        "energy": rng.random(len(key)),
        "head": np.array([0.1, 0.2]),
        "tail": np.array([0.1, 0.2]),
    }


@final
class Apq(Npz):
    """APQ's look-up table."""

    name = "apq"
    arrays = _apq()


@final
class Macro(Npz):
    """NAS-Bench-Macro."""

    name = "nas-bench-macro"
    arrays = {
        "codes": np.random.default_rng(0).integers(0, 3, size=(60, 8)),
        "mean_acc": np.random.default_rng(1).random(60) * 100,
        "params": np.random.default_rng(2).random(60) * 1e6,
        "flops": np.random.default_rng(3).random(60) * 1e6,
    }


class Hdf5(Reader):
    """Sealed HDF5 files, as `fuzz_files.py` damages them, and bytes beyond."""

    files: tuple[str, ...]

    def make_good(self, folder: Path) -> None:
        make_files(folder)

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        name = any_of(self.files, rng)
        data = (good / name).read_bytes()
        journal = good / f"{name}.journal"
        target = case / "a.h5"
        if journal.exists() and rng.random() < 0.5:
            target.write_bytes(data)
            (case / "a.h5.journal").write_bytes(damaged_bytes(journal.read_bytes(), rng))
            return "journal"
        if journal.exists():
            shutil.copy(journal, case / "a.h5.journal")
        if rng.random() < 0.3:
            changed = bytearray(data)
            BYTES[any_of(BYTES, rng)](changed, rng)
            target.write_bytes(changed)
            return "bytes"
        how = any_of(CONTENT, rng)
        target.write_bytes(damaged_content(data, CONTENT[how], rng))
        return how


@final
class TablesFile(Hdf5):
    """Tables in HDF5."""

    name = "tables-h5"
    files = ("tables.h5",)

    def read(self, case: Path) -> None:
        tables = Tables.load(case / "a.h5")
        tables.check()
        tables.to_csv(case / "out.csv")

    def command(self, case: Path) -> list[str]:
        return ["tables", "check", str(case / "a.h5")]


@final
class ArchiveFile(Hdf5):
    """Archives with their journals."""

    name = "archive-h5"
    files = ("archive.h5", "running.h5")

    def read(self, case: Path) -> None:
        archive = Archive.load(case / "a.h5")
        _ = archive.front.to_dataframe(), archive.history, archive.validated, archive.evaluations
        archive.front.to_csv()

    def command(self, case: Path) -> list[str]:
        return ["front", str(case / "a.h5")]


TABLE_READERS: tuple[Reader, ...] = (Csv(), Measured(), Hawq(), Haq(), Apq(), Macro(), TablesFile(), ArchiveFile())
