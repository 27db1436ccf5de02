"""Opens thousands of damaged archives and tables: each must open as it was or be refused in one sentence.

    python benchmarks/fuzz_files.py --files 5000

Damage is done to the bytes (bit flips, zeroed and cut pieces, truncations, of the file and of the journal) and to the
content (swapped groups, wrong types, huge declared shapes, links out of the file, object arrays, altered attributes);
damaged content is sealed again, so that the readers behind the checksum are met too. Files are opened in worker
processes with limits on memory and processor time; a crash of a worker is counted as what it is.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from evo_qnas.archive import Archive, Evaluations, Header, Recorder, Validated
from evo_qnas.errors import ArchiveError, TableError
from evo_qnas.files import SEAL_BYTES, Seal
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo
from evo_qnas.tables import Tables

SECONDS = 2.0
MEGABYTES = 500
BATCH = 250
TIMED_OUT = 1000
RAW = ("genome", "objectives", "constraints", "generation", "seconds", "state")

Damage = Callable[[h5py.File, np.random.Generator], None]


def make_files(folder: Path) -> None:
    """An archive with everything in it, one with a journal, and tables."""
    rng = np.random.default_rng(0)
    tables = Tables.from_arrays(
        {name: [rng.random(5) for _ in range(6)] for name in ("score", "size_bytes", "latency_ms")},
        baselines={"first": [0] * 6},
        ties=[["block0", "block3"]],
    )
    tables.save(folder / "tables.h5")
    header = Header(
        problem={"kind": "tables", "objectives": ["score", "size_bytes"], "constraints": ["latency_ms <= 3"]},
        tables=tables,
        blocks=tables.names,
        objectives=(ObjectiveInfo(name="score"), ObjectiveInfo(name="size_bytes", unit="B")),
        constraints=(ConstraintInfo(name="latency_ms <= 3", unit="ms"),),
        algorithm="random",
        settings={"evaluations": 400},
        seed=0,
        fingerprint="0",
    )
    for name in ("archive.h5", "running.h5"):
        recorder = Recorder.open(folder / name, header)
        for generation in range(8):
            genomes = rng.integers(0, 5, size=(50, 6))
            objectives = np.column_stack([tables.total("score", genomes), tables.total("size_bytes", genomes)])
            state = np.zeros(50, dtype=np.uint8)
            state[7], objectives[7] = 1, np.nan
            recorder.append(
                Evaluations(
                    genomes=genomes,
                    objectives=objectives,
                    constraints=tables.total("latency_ms", genomes)[:, None] - 3.0,
                    generation=np.full(50, generation, dtype=np.int32),
                    seconds=np.full(50, 0.1),
                    state=state,
                    reasons={7: "the objective raised ValueError"},
                )
            )
        if name == "archive.h5":
            recorder.finish().add_validation(
                Validated(id="net0", genome=(0,) * 6, after={"accuracy": 0.9}, files={"onnx": "model.onnx"})
            )
    # The second recorder is dropped without an end, as a killed process drops it: its journal stays.


def flip(data: bytearray, rng: np.random.Generator) -> None:
    for at in rng.integers(0, len(data), size=int(rng.integers(1, 9))):
        data[at] ^= 1 << int(rng.integers(8))


def flip_head(data: bytearray, rng: np.random.Generator) -> None:
    data[int(rng.integers(0, min(2048, len(data))))] ^= 1 << int(rng.integers(8))


def zero(data: bytearray, rng: np.random.Generator) -> None:
    start, length = int(rng.integers(len(data))), int(rng.integers(1, 4096))
    data[start : start + length] = bytes(len(data[start : start + length]))


def cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def remove(data: bytearray, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(data)))
    del data[start : start + int(rng.integers(1, 512))]


def append(data: bytearray, rng: np.random.Generator) -> None:
    data += rng.bytes(int(rng.integers(1, 512)))


BYTES = {"flip": flip, "flip_head": flip_head, "zero": zero, "cut": cut, "remove": remove, "append": append}


def members(file: h5py.File, kind: type) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, kind) else None)
    return names


def pick(file: h5py.File, rng: np.random.Generator, kind: type) -> str:
    names = members(file, kind)
    return names[int(rng.integers(len(names)))]


def swap(file: h5py.File, rng: np.random.Generator) -> None:
    names = members(file, h5py.HLObject)
    one, other = (names[int(i)] for i in rng.choice(len(names), 2, replace=False))
    if one.startswith(other) or other.startswith(one):
        file.move(one, "elsewhere")
        return
    file.move(one, "aside")
    file.move(other, one)
    file.move("aside", other)


def wrong_type(file: h5py.File, rng: np.random.Generator) -> None:
    name = pick(file, rng, h5py.Dataset)
    shape = file[name].shape
    kinds = ["f4", "c16", "i1", "S5", [("a", "i4"), ("b", "f8")], "bool", h5py.ref_dtype, "V7", "u8"]
    del file[name]
    file.create_dataset(name, shape=shape, dtype=kinds[int(rng.integers(len(kinds)))])


def objects(file: h5py.File, rng: np.random.Generator) -> None:
    name = pick(file, rng, h5py.Dataset)
    shape = file[name].shape
    del file[name]
    file.create_dataset(
        name, shape=shape, dtype=h5py.vlen_dtype(np.int32) if rng.random() < 0.5 else h5py.string_dtype()
    )


def huge(file: h5py.File, rng: np.random.Generator) -> None:
    name = pick(file, rng, h5py.Dataset)
    dims, dtype = file[name].ndim, file[name].dtype
    del file[name]
    shape = tuple(int(n) for n in rng.choice([1 << 20, 1 << 33, 1 << 40], size=max(dims, 1)))
    if len(shape) > 1:
        shape = (shape[0], 1 << 14)
    file.create_dataset(name, shape=shape, dtype=dtype, chunks=(1 << 10,) * len(shape), compression="gzip")


def shape_changed(file: h5py.File, rng: np.random.Generator) -> None:
    name = pick(file, rng, h5py.Dataset)
    data = file[name]
    values, attributes = data[()], dict(data.attrs)
    dtype = data.dtype
    del file[name]
    values = values[: len(values) // 2] if np.ndim(values) else np.array([values, values], dtype=dtype)
    made = file.create_dataset(name, data=values, dtype=dtype)
    for key, value in attributes.items():
        made.attrs[key] = value


def link(file: h5py.File, rng: np.random.Generator) -> None:
    name = pick(file, rng, h5py.HLObject)
    del file[name]
    chosen = int(rng.integers(3))
    if chosen == 0:
        file[name] = h5py.ExternalLink("/etc/hostname", "/")
    elif chosen == 1:
        file[name] = h5py.ExternalLink("archive.h5", f"/{name}")
    else:
        file[name] = h5py.SoftLink("/evaluations" if rng.random() < 0.5 else f"/{name}")


def outside(file: h5py.File, rng: np.random.Generator) -> None:
    name = pick(file, rng, h5py.Dataset)
    shape, dtype = file[name].shape, file[name].dtype
    if dtype.hasobject or not shape:
        del file[name]
        return
    del file[name]
    if rng.random() < 0.5:
        file.create_dataset(name, shape=shape, dtype=dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
    else:
        layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
        layout[:] = h5py.VirtualSource("archive.h5", name, shape=shape)
        file.create_virtual_dataset(name, layout)


def attributes(file: h5py.File, rng: np.random.Generator) -> None:
    names = ["/", *members(file, h5py.HLObject)]
    places = [name for name in names if len(file[name].attrs)]
    place = file[places[int(rng.integers(len(places)))] if rng.random() < 0.5 else "/"]
    keys = list(place.attrs) or ["schema"]
    key = keys[int(rng.integers(len(keys)))]
    values = [
        None,
        "{",
        "[]",
        "null",
        10**9,
        -1,
        float("nan"),
        b"\xff\xfe",
        np.arange(5000),
        "../../../etc/passwd",
        "é" * 9000,
    ]
    value = values[int(rng.integers(len(values)))]
    if key in place.attrs:
        del place.attrs[key]
    if value is not None:
        place.attrs[key] = value


CONTENT: dict[str, Damage] = {
    "swap": swap,
    "wrong_type": wrong_type,
    "objects": objects,
    "huge": huge,
    "shape_changed": shape_changed,
    "link": link,
    "outside": outside,
    "attributes": attributes,
}


def damaged_content(data: bytes, how: Damage, rng: np.random.Generator) -> bytes:
    """The file with its content altered, and sealed again where it was sealed."""
    sealed = Seal.unpack(data[:SEAL_BYTES]) is not None
    image = io.BytesIO(data[SEAL_BYTES:] if sealed else data)
    with h5py.File(image, "r+", libver=("v110", "v110")) as file:
        how(file, rng)
    return reseal(image.getvalue()) if sealed else image.getvalue()


def reseal(image: bytes) -> bytes:
    """The image behind a seal that fits it, extents where the evaluations are."""
    extents = []
    try:
        with h5py.File(io.BytesIO(image), "r") as file:
            for name in RAW:
                data = file.get(f"evaluations/{name}")
                if isinstance(data, h5py.Dataset) and data.id.get_offset() is not None:
                    extents.append((int(data.id.get_offset()), int(data.id.get_storage_size())))
    except (OSError, RuntimeError, ValueError, KeyError):
        extents = []
    try:
        return Seal.of(image, extents).pack() + image
    except ValueError:
        return Seal.of(image).pack() + image


def make_damaged(folder: Path, target: Path, index: int) -> tuple[str, str]:
    """Writes damaged file number `index`; returns which file it was and what was done."""
    rng = np.random.default_rng([2026, index])
    what = ["archive", "archive", "journal", "tables"][index % 4]
    name = {"archive": "archive.h5", "journal": "running.h5", "tables": "tables.h5"}[what]
    data = bytearray((folder / name).read_bytes())
    journal = target.with_name(f"{target.name}.journal")
    journal.unlink(missing_ok=True)
    if what == "journal":
        log = bytearray((folder / "running.h5.journal").read_bytes())
        how = list(BYTES)[int(rng.integers(len(BYTES)))]
        BYTES[how](log, rng)
        journal.write_bytes(log)
    elif rng.random() < 0.4:
        how = list(BYTES)[int(rng.integers(len(BYTES)))]
        BYTES[how](data, rng)
    elif rng.random() < 0.2:
        how = "flip, sealed again"
        image = bytearray(data[SEAL_BYTES:] if Seal.unpack(bytes(data[:SEAL_BYTES])) is not None else data)
        flip(image, rng)
        data = bytearray(reseal(bytes(image)))
    else:
        how = list(CONTENT)[int(rng.integers(len(CONTENT)))]
        data = bytearray(damaged_content(bytes(data), CONTENT[how], rng))
    target.write_bytes(data)
    return what, how


def read_all(path: Path, what: str) -> list[np.ndarray]:
    """Everything a user can read of a file, as arrays."""
    if what == "tables":
        tables = Tables.load(path)
        return [np.concatenate(column.values) for column in tables.columns.values()]
    archive = Archive.load(path)
    front = archive.front
    rows = archive.evaluations
    history = archive.history
    assert archive.validated is not None
    found = [*rows.parts, front.genomes, front.objectives, history.evaluations, history.hypervolume]
    if archive.tables is not None:
        found.extend(np.concatenate(column.values) for column in archive.tables.columns.values())
        front.to_dataframe()
    return found


def open_one(folder: Path, target: Path, index: int) -> str:
    """Damages, opens, and says in a few words what came of it; words that begin with BAD are failures."""
    what, how = make_damaged(folder, target, index)
    start = time.process_time()
    try:
        found = read_all(target, what)
    except (ArchiveError, TableError) as error:
        text = str(error)
        ending = "refused" if "\n" not in text and 10 < len(text) < 700 else f"BAD text {text[:200]!r}"
    except MemoryError:
        ending = "BAD memory"
    except Exception as error:
        ending = f"BAD {type(error).__name__} {str(error)[:200]}"
    else:
        ending = "opened"
        if how in BYTES and what == "archive":
            wanted = read_all(folder / "archive.h5", what)
            if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, wanted, strict=True)):
                ending = "BAD opened with other values"
        if what == "journal":
            wanted = read_all(folder / "running.h5", what)
            if not all(
                np.array_equal(a, b[: len(a)], equal_nan=True) for a, b in zip(found[:6], wanted[:6], strict=True)
            ):
                ending = "BAD opened with other values"
    if time.process_time() - start > SECONDS:
        ending = f"BAD took {time.process_time() - start:.1f} s"
    return f"{what}: {how}: {ending}"


def work(folder: Path, first: int, stop: int) -> None:
    """Opens files `first .. stop - 1` in this process, one line each; limits hold from here on."""
    target = folder / f"damaged-{first}.h5"
    read_all(folder / "archive.h5", "archive")
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + MEGABYTES * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for index in range(first, stop):
        print(f"{index}: {open_one(folder, target, index)}", flush=True)


def run_batch(folder: Path, first: int, stop: int) -> list[str]:
    """The endings of files `first .. stop - 1`; a worker that dies is started again behind the file that killed it."""
    endings: list[str] = []
    while first + len(endings) < stop:
        start = first + len(endings)
        command = [sys.executable, __file__, "--work", str(folder), str(start), str(stop)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
            output, code = done.stdout, done.returncode
        except subprocess.TimeoutExpired as late:
            output, code = (late.stdout or b"").decode(), TIMED_OUT
        lines = [line.split(": ", 1)[1] for line in output.splitlines() if line.split(":")[0].isdigit()]
        endings.extend(lines)
        if code and first + len(endings) < stop:
            why = "was stopped after an hour" if code == TIMED_OUT else f"ended with {code}"
            endings.append(f"?: BAD worker {why} on file {first + len(endings)}")
    return endings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file, to repeat one")
    parser.add_argument("--work", nargs=3, metavar=("FOLDER", "FIRST", "STOP"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        folder, first, stop = arguments.work
        work(Path(folder), int(first), int(stop))
        return 0
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder)
        endings = []
        for first in range(arguments.first, arguments.first + arguments.files, BATCH):
            endings += run_batch(folder, first, min(first + BATCH, arguments.first + arguments.files))
    for ending, count in sorted(Counter(endings).items()):
        print(f"{count:6d}  {ending}")
    bad = [(arguments.first + index, ending) for index, ending in enumerate(endings) if "BAD" in ending]
    for index, ending in bad[:20]:
        print(f"file {index}: {ending}")
    print(f"{len(endings)} files, {len(bad)} failures, {time.perf_counter() - start:.1f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
