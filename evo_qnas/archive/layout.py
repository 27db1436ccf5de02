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
from jaxtyping import Int

from evo_qnas.archive.digests import digest_of
from evo_qnas.archive.evaluations import Evaluations, narrow
from evo_qnas.archive.front import signs
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import History, Traced, traced
from evo_qnas.archive.pickling import reduced
from evo_qnas.archive.validated import Validated
from evo_qnas.files import Seal, replacing
from evo_qnas.tables import Tables
from evo_qnas.tables.fast_hdf5 import attribute, put, put_group, put_texts
from evo_qnas.tables.hdf5 import write_content

FORMAT = "evo_qnas.archive"
SCHEMA = 2
RAW = ("genome", "objectives", "constraints", "generation", "seconds", "state")
_DIMENSIONS = {
    "genome": ("network", "block"),
    "objectives": ("network", "objective"),
    "constraints": ("network", "limit"),
}
_TEXT = h5py.string_dtype("utf-8")
_IMAGES: dict[int, tuple["weakref.ref[Tables]", bytes]] = {}


@final
@dataclass(frozen=True, kw_only=True)
class Contents:
    """The contents of one archive file.

    Attributes:
        run: an id that the archive and its journal share.
        header: which search it is.
        evaluations: all of them, objectives minimised.
        finished: whether the search came to its end.
        extras: JSON-able facts about the run that change nothing in it (seconds, workers, ...).
        validated: networks that were trained and measured.
        asks: (e, 2) int64, of a search whose answers come in any order: what happened between its evaluations. Each
            row is how many evaluations there were, and how many networks were asked for; 0 where the search was opened
            again, -n where the next n evaluations were not asked for.
    """

    run: str
    header: Header
    evaluations: Evaluations
    finished: bool = False
    extras: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    validated: tuple[Validated, ...] = ()
    asks: Int[np.ndarray, "e 2"] = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: read-only mappings cannot be pickled."""
        return reduced(self)


@cache
def versions() -> dict[str, str]:
    """Versions of what decides which networks a search evaluates."""
    installed = {"evo_qnas": version("evo_qnas"), "python": platform.python_version(), "numpy": np.__version__}
    installed |= {"h5py": h5py.__version__, "moocore": moocore.__version__}
    return installed


def write_archive(contents: Contents, path: Path, *, sync: bool = True) -> Traced:
    """Writes an archive in one step; returns the rows of its front and its history.

    Raises:
        OSError: the disk is full, the folder cannot be written.
    """
    traced_rows = traced(contents.evaluations)
    image, extents = build_image(contents, *traced_rows)
    seal = Seal.of(image, extents)
    with replacing(path, sync=sync) as aside, aside.open("wb", buffering=0) as handle:
        for piece in (memoryview(seal.pack()), memoryview(image)):
            rest = piece
            while rest:
                rest = rest[handle.write(rest) :]
    return traced_rows


def build_image(
    contents: Contents, best: Int[np.ndarray, " n"], history: History
) -> tuple[bytes, list[tuple[int, int]]]:
    """The HDF5 image of an archive and the extents of its raw evaluation data."""
    rows = contents.evaluations
    with _image_of(contents.header.tables, extra_bytes=sum(part.nbytes for part in rows.parts)) as file:
        root = file["/"].id
        _write_root(contents, root, len(best))
        extents = _write_evaluations(contents, root, best)
        _write_history(history, root)
        _write_validated(contents, root)
        file.flush()
        return file.id.get_file_image(), extents


def _image_of(tables: Tables | None, extra_bytes: int) -> h5py.File:
    """A file in memory that holds the tables already; building that part once serves all writes of a search."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core((1 << 17) + extra_bytes, False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    if tables is None:
        return h5py.File(h5py.h5f.create(b"archive", h5py.h5f.ACC_TRUNC, fcpl=_creation(), fapl=access))
    known = _IMAGES.get(id(tables))
    if known is None or known[0]() is not tables:
        known = (weakref.ref(tables), _tables_image(tables))
        _IMAGES.clear()
        _IMAGES[id(tables)] = known
    access.set_file_image(known[1])
    return h5py.File(h5py.h5f.open(b"archive", h5py.h5f.ACC_RDWR, fapl=access))


def _creation() -> h5py.h5p.PropFCID:
    """Keeps the root's attributes in its header: beyond eight HDF5 would move them to a heap, which costs more."""
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_attr_phase_change(64, 32)
    return creation


def _tables_image(tables: Tables) -> bytes:
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(1 << 18, False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    with h5py.File(h5py.h5f.create(b"tables", h5py.h5f.ACC_TRUNC, fcpl=_creation(), fapl=access)) as file:
        write_content(tables.content, file.create_group("tables"))
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def _write_root(contents: Contents, root: h5py.h5g.GroupID, front: int) -> None:
    header = contents.header
    values: dict[str, str | int | bool] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "created_by": f"evo_qnas {versions()['evo_qnas']}",
        "run": contents.run,
        "algorithm": header.algorithm,
        "settings": json.dumps(dict(header.settings)),
        "seed": "null" if header.seed is None else str(header.seed),
        "fingerprint": header.fingerprint,
        "digest": digest_of(contents.run, header, header.tables, contents.evaluations),
        "versions": json.dumps(versions() | _loaded("pymoo")),
        "extras": json.dumps(dict(contents.extras)),
        "finished": contents.finished,
        "evaluations": len(contents.evaluations),
        "front": front,
    }
    for name, value in values.items():
        attribute(root, name, value)
    put(root, "problem", np.array(json.dumps(dict(header.problem)).encode("utf-8")))
    put_texts(root, "block_names", header.blocks)
    if len(contents.asks):
        put(root, "asks", contents.asks)


def _loaded(name: str) -> dict[str, str]:
    module = sys.modules.get(name)
    return {} if module is None else {name: str(module.__version__)}


def _write_evaluations(
    contents: Contents, root: h5py.h5g.GroupID, best: Int[np.ndarray, " n"]
) -> list[tuple[int, int]]:
    """Writes evaluations and front; returns where the raw evaluations lie."""
    header, rows = contents.header, contents.evaluations
    maximize = [info.maximize for info in header.objectives]
    sign = signs(maximize)
    outside = rows.objectives * sign if (sign < 0).any() else rows.objectives
    parts = dict(zip(RAW, (narrow(rows.genomes), outside, *rows.parts[2:]), strict=True))
    group, front = put_group(root, "evaluations"), put_group(root, "front")
    made = {name: put(group, name, part) for name, part in parts.items()}
    put(front, "row", best)
    chosen = {name: put(front, name, parts[name][best]) for name in RAW[:3]}
    for datasets in (made, chosen):
        for name, data in datasets.items():
            for axis, label in enumerate(_DIMENSIONS.get(name, ("network",))):
                h5py.h5ds.set_label(data, axis, label.encode())
        for name, infos in (("objectives", header.objectives), ("constraints", header.constraints)):
            attribute(datasets[name], "name", np.array([info.name for info in infos], dtype=_TEXT))
            attribute(datasets[name], "unit", np.array([info.unit for info in infos], dtype=_TEXT))
        attribute(datasets["objectives"], "maximize", np.array(maximize, dtype=bool))
    failed = sorted(rows.reasons)
    put(group, "reason_row", np.array(failed, dtype=np.int64))
    put_texts(group, "reason", [rows.reasons[row] for row in failed])
    return [(data.get_offset(), data.get_storage_size()) for data in made.values() if data.get_offset() is not None]


def _write_history(history: History, root: h5py.h5g.GroupID) -> None:
    group = put_group(root, "history")
    for name in ("generation", "evaluations", "feasible", "hypervolume", "error"):
        put(group, name, getattr(history, name))
    for name in ("ideal", "nadir"):
        attribute(group, name, getattr(history, name))
    attribute(group, "reference", history.reference)
    attribute(group, "normalisation", "(minimised objective - ideal) / (nadir - ideal), volume below reference in each")


def _write_validated(contents: Contents, root: h5py.h5g.GroupID) -> None:
    group = put_group(root, "validated")
    for index, network in enumerate(contents.validated):
        member = put_group(group, f"{index:03d}")
        attribute(member, "id", network.id)
        put(member, "genome", np.array(network.genome, dtype=np.int64))
        for part, values in (("before", network.before), ("after", network.after), ("files", network.files)):
            inner = put_group(member, part)
            for name, value in values.items():
                attribute(inner, name, value)
