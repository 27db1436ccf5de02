"""An archive as one sealed HDF5 image (layout: `results/README.md`)."""

import json
import platform
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import h5py
import moocore
import numpy as np

from evo_qnas.archive.evaluations import Evaluations, narrow
from evo_qnas.archive.front import front_rows, signs
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import History, history_of
from evo_qnas.files import SEAL_BYTES, Seal, replacing
from evo_qnas.tables import Tables
from evo_qnas.tables.hdf5 import write_tables

FORMAT = "evo_qnas.archive"
SCHEMA = 1
RAW = ("genome", "objectives", "constraints", "generation", "seconds", "state")
_TEXT = h5py.string_dtype("utf-8")
_IMAGES: dict[int, tuple["weakref.ref[Tables]", bytes]] = {}


@final
@dataclass(frozen=True, kw_only=True)
class Contents:
    """What one archive file holds.

    Attributes:
        run: an id that the archive and its journal share.
        header: which search it is.
        evaluations: all of them, objectives minimised.
        finished: whether the search came to its end.
        extras: JSON-able facts about the run that change nothing in it (seconds, workers, ...).
        validated: the columns of `/validated`, see `Validated`.
    """

    run: str
    header: Header
    evaluations: Evaluations
    finished: bool = False
    extras: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    validated: tuple[Mapping[str, Any], ...] = ()


@cache
def versions() -> dict[str, str]:
    """Versions of what decides which networks a search evaluates."""
    found = {"evo_qnas": version("evo_qnas"), "python": platform.python_version(), "numpy": np.__version__}
    found |= {"h5py": h5py.__version__, "moocore": moocore.__version__}
    return found


def write_archive(contents: Contents, path: Path, *, sync: bool = True) -> None:
    """Writes an archive in one step.

    Raises:
        OSError: the disk is full, the folder cannot be written.
    """
    image, extents = build_image(contents)
    seal = Seal.of(image, extents)
    with replacing(path, sync=sync) as aside, aside.open("wb", buffering=0) as handle:
        for piece in (memoryview(seal.pack()), memoryview(image)):
            rest = piece
            while rest:
                rest = rest[handle.write(rest) :]


def build_image(contents: Contents) -> tuple[bytes, list[tuple[int, int]]]:
    """The HDF5 image of an archive and the extents of its raw evaluation data."""
    size = sum(part.nbytes for part in contents.evaluations.parts)
    with _image_of(contents.header.tables, room=size) as file:
        _write_root(contents, file)
        _write_evaluations(contents, file)
        _write_validated(contents, file)
        file.flush()
        places = [file["evaluations"][name].id for name in RAW]
        extents = [(int(place.get_offset()), int(place.get_storage_size())) for place in places if place.get_offset()]
        return file.id.get_file_image(), extents


def _image_of(tables: Tables | None, room: int) -> h5py.File:
    """A file in memory that holds the tables already; building that part once serves all writes of a search."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(max(1 << 16, room // 4), False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    if tables is None:
        return h5py.File(h5py.h5f.create(b"archive", h5py.h5f.ACC_TRUNC, fapl=access))
    known = _IMAGES.get(id(tables))
    if known is None or known[0]() is not tables:
        known = (weakref.ref(tables), _tables_image(tables))
        _IMAGES.clear()
        _IMAGES[id(tables)] = known
    access.set_file_image(known[1])
    return h5py.File(h5py.h5f.open(b"archive", h5py.h5f.ACC_RDWR, fapl=access))


def _tables_image(tables: Tables) -> bytes:
    with h5py.File("tables", "w", driver="core", backing_store=False, libver=("v110", "v110")) as file:
        write_tables(tables, file.create_group("tables"))
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def _write_root(contents: Contents, file: h5py.File) -> None:
    header = contents.header
    for name, value in {
        "format": FORMAT,
        "schema": SCHEMA,
        "created_by": f"evo_qnas {versions()['evo_qnas']}",
        "run": contents.run,
        "algorithm": header.algorithm,
        "settings": json.dumps(dict(header.settings)),
        "seed": "null" if header.seed is None else str(header.seed),
        "fingerprint": header.fingerprint,
        "versions": json.dumps(versions() | _loaded("pymoo")),
        "extras": json.dumps(dict(contents.extras)),
        "finished": bool(contents.finished),
        "evaluations": len(contents.evaluations),
    }.items():
        file.attrs[name] = value
    file.create_dataset("problem", data=np.bytes_(json.dumps(dict(header.problem)).encode("utf-8")))
    file.create_dataset("block_names", data=np.array(header.blocks, dtype=object), dtype=_TEXT)


def _loaded(name: str) -> dict[str, str]:
    module = sys.modules.get(name)
    return {} if module is None else {name: str(module.__version__)}


def _write_evaluations(contents: Contents, file: h5py.File) -> None:
    header, rows = contents.header, contents.evaluations
    sign = signs([info.maximize for info in header.objectives])
    best = front_rows(rows)
    group = file.create_group("evaluations")
    front = file.create_group("front")
    front.create_dataset("row", data=best)
    outside = rows.objectives * sign if (sign < 0).any() else rows.objectives
    parts = dict(zip(RAW, (narrow(rows.genomes), outside, *rows.parts[2:]), strict=True))
    for name, part in parts.items():
        group.create_dataset(name, data=np.ascontiguousarray(part))
        if name in RAW[:3]:
            front.create_dataset(name, data=part[best])
    for place in (group, front):
        place["objectives"].attrs["name"] = np.array([info.name for info in header.objectives], dtype=object)
        place["objectives"].attrs["unit"] = np.array([info.unit for info in header.objectives], dtype=object)
        place["objectives"].attrs["maximize"] = np.array([info.maximize for info in header.objectives], dtype=bool)
        place["constraints"].attrs["name"] = np.array([i.name for i in header.constraints], dtype=object).astype(_TEXT)
        place["constraints"].attrs["unit"] = np.array([i.unit for i in header.constraints], dtype=object).astype(_TEXT)
    failed = sorted(rows.reasons)
    group.create_dataset("reason_row", data=np.array(failed, dtype=np.int64))
    group.create_dataset("reason", data=np.array([rows.reasons[row] for row in failed], dtype=object), dtype=_TEXT)
    _write_history(history_of(rows, best), file)


def _write_history(history: History, file: h5py.File) -> None:
    group = file.create_group("history")
    for name in ("generation", "evaluations", "feasible", "hypervolume"):
        group.create_dataset(name, data=getattr(history, name))
    for name in ("ideal", "nadir"):
        group.attrs[name] = getattr(history, name)
    group.attrs["reference"] = history.reference
    group.attrs["normalisation"] = "(minimised objective - ideal) / (nadir - ideal), volume below `reference` in each"


def _write_validated(contents: Contents, file: h5py.File) -> None:
    group = file.create_group("validated")
    for index, network in enumerate(contents.validated):
        place = group.create_group(f"{index:03d}")
        place.attrs["id"] = network["id"]
        place.create_dataset("genome", data=np.asarray(network["genome"], dtype=np.int64))
        for part in ("before", "after", "files"):
            values = place.create_group(part)
            for name, value in network[part].items():
                values.attrs[name] = value


__all__ = ["FORMAT", "RAW", "SCHEMA", "SEAL_BYTES", "Contents", "build_image", "versions", "write_archive"]
