"""Reading an archive file: seal first, then metadata and front; raw evaluations when they are asked for."""

import json
import os
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import h5py
import numpy as np

from evo_qnas.archive.datasets import array, child, plain_dataset
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import signs
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import History
from evo_qnas.archive.layout import FORMAT, RAW, SCHEMA
from evo_qnas.archive.strangers import annotated_seal
from evo_qnas.archive.validated import Validated
from evo_qnas.errors import ArchiveError, TableError, way_out
from evo_qnas.files import Seal, check_seal
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo
from evo_qnas.tables import Tables
from evo_qnas.tables.hdf5 import read_content
from evo_qnas.tables.safe_hdf5 import DAMAGE, SafeReader, damage_text

_KINDS = {"genome": "ui", "objectives": "f", "constraints": "f", "generation": "i", "seconds": "f", "state": "u"}


@final
@dataclass(frozen=True, slots=True)
class Extent:
    """Position of the raw bytes of one array in the file, and their checksum."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    checksum: int


@final
class StoredFile:
    """An opened archive file: what is small is read, the evaluations are read from the same file when asked for.

    The descriptor stays open, so that they are this file's even when a later run has replaced it.
    """

    def __init__(self, path: Path, seal: Seal | None = None) -> None:
        """Opens the file.

        Args:
            path: of the archive.
            seal: of a file that other programs have added to; None checks the file's own.
        """
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)
        seal = seal or _seal_of(path)
        with h5py.File(path, "r", locking=False) as file:
            self._read(file, seal)
        if not os.path.samestat(path.stat(), os.fstat(self._descriptor)):
            raise InterruptedError(f"{path} was replaced while it was read")

    def _read(self, file: h5py.File, seal: Seal) -> None:
        check_kind(self.path, file)
        self.run = str(file.attrs["run"])
        self.finished = bool(file.attrs["finished"])
        self.extras: Mapping[str, Any] = MappingProxyType(json.loads(file.attrs["extras"]))
        self.digest = str(file.attrs.get("digest", ""))
        self.versions: Mapping[str, str] = MappingProxyType(json.loads(file.attrs["versions"]))
        self.created_by = str(file.attrs["created_by"])
        self.with_tables = "tables" in file
        reader = SafeReader(origin=str(self.path), what="archive", error=ArchiveError, file=file)
        self.header = _header(file, reader)
        group = child(file, "evaluations")
        self._extents = {name: self._extent(group, name, seal) for name in RAW}
        self._check_shapes()
        rows, texts = array(group, "reason_row", "i", 1), reader.texts(group, "reason")
        self.reasons = MappingProxyType(dict(zip(rows.tolist(), texts, strict=True)))
        front = child(file, "front")
        self.front = (array(front, "row", "i", 1), *(array(front, name, _KINDS[name], 2) for name in RAW[:3]))
        self.history = _history(child(file, "history"))
        self._check_front()
        self.validated = _validated(child(file, "validated"))
        self.asks = array(file, "asks", "i", 2) if "asks" in file else np.empty((0, 2), dtype=np.int64)

    def _extent(self, group: h5py.Group, name: str, seal: Seal) -> Extent:
        data = plain_dataset(group, name, _KINDS[name], 2 if name in RAW[:3] else 1)
        offset = data.id.get_offset()
        extents = {start: (length, checksum) for start, length, checksum in seal.extents}
        if not data.size:
            return Extent(0, data.shape, data.dtype, 0)
        if offset not in extents or extents[offset][0] != data.size * data.dtype.itemsize:
            raise ValueError(f"{data.name} is not where the seal says")
        return Extent(offset, data.shape, data.dtype, extents[offset][1])

    def _check_shapes(self) -> None:
        n = self._extents["genome"].shape[0]
        widths = (len(self.header.blocks), len(self.header.objectives), len(self.header.constraints))
        expected = [(n, width) for width in widths] + [(n,)] * 3
        if [self._extents[name].shape for name in RAW] != expected:
            raise ValueError("the evaluations have shapes that do not fit each other")

    def _check_front(self) -> None:
        header, rows = self.header, self.front[0]
        widths = (len(header.blocks), len(header.objectives), len(header.constraints))
        if [part.shape for part in self.front[1:]] != [(len(rows), width) for width in widths]:
            raise ValueError("the front has shapes that do not fit each other")
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise ValueError("the front names evaluations that are not there")
        history, m = self.history, len(header.objectives)
        lengths = {len(part) for part in (history.generation, history.evaluations, history.feasible, history.error)}
        if lengths != {len(history.hypervolume)} or history.ideal.shape != (m,) or history.nadir.shape != (m,):
            raise ValueError("the history has shapes that do not fit each other")

    def is_current(self) -> bool:
        """True while the path still names this file."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def __len__(self) -> int:
        return self._extents["genome"].shape[0]

    def evaluations(self) -> Evaluations:
        """All evaluations of the file, objectives minimised."""
        genomes, objectives, constraints, generation, seconds, state = (self._raw(name) for name in RAW)
        sign = signs([info.maximize for info in self.header.objectives])
        return Evaluations(
            genomes=genomes.astype(np.int64),
            objectives=objectives * sign if (sign < 0).any() else objectives,
            constraints=constraints,
            generation=generation.astype(np.int32, copy=False),
            seconds=seconds,
            state=state,
            reasons=self.reasons,
        )

    def _raw(self, name: str) -> np.ndarray:
        extent = self._extents[name]
        values = np.empty(extent.shape, extent.dtype)
        view, at = values.reshape(-1).view(np.uint8).data, extent.offset
        while view:
            got = os.preadv(self._descriptor, [view], at)
            if not got:
                raise ArchiveError(f"{self.path} was cut short while it was read")
            view, at = view[got:], at + got
        if zlib.crc32(values.data) != extent.checksum:
            raise ArchiveError(f"{self.path} is damaged: the checksum of evaluations/{name} does not fit")
        return values

    def tables(self) -> Tables | None:
        """The embedded tables, or None where there are none."""
        if not self.with_tables:
            return None
        if not self.is_current():
            raise ArchiveError(f"{self.path} was replaced since it was loaded: load it again")
        try:
            with h5py.File(self.path, "r", locking=False) as file:
                return Tables(read_content(child(file, "tables"), f"{self.path}:/tables"))
        except TableError:
            raise
        except DAMAGE as error:
            raise ArchiveError(f"{self.path} is a damaged archive: {damage_text(error)}") from error


def _seal_of(path: Path) -> Seal:
    """The seal of a file that is what was sealed, or whose contents are.

    Raises:
        ArchiveError: there is none.
        ValueError: the contents are damaged.
    """
    try:
        seal = check_seal(path)
    except ValueError:
        seal = annotated_seal(path)
        if seal is None:
            raise
    if seal is None:
        raise ArchiveError(_foreign(path))
    return seal


def open_stored(path: Path) -> StoredFile:
    """The archive file at `path`.

    Raises:
        ArchiveError: it is missing, is no archive, is from a later version, or is damaged.
    """
    for _ in range(10):
        try:
            return StoredFile(path)
        except FileNotFoundError:
            raise ArchiveError(f"there is no archive {path}") from None
        except InterruptedError:
            continue
        except (ArchiveError, TableError):
            raise
        except DAMAGE as error:
            # An error of the path names it; those of h5py, about what is in the file, do not.
            if isinstance(error, OSError) and error.filename is not None:
                raise ArchiveError(f"{path} cannot be opened: {error.strerror}; {way_out(error)}") from error
            raise ArchiveError(f"{path} is a damaged archive: {damage_text(error)}") from error
    raise ArchiveError(f"{path} is being replaced all the time: try again")


def _foreign(path: Path) -> str:
    with path.open("rb") as handle:
        start = handle.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return (
            f"{path} is no archive: it is an HDF5 file of another kind (a tables file, or one made by other software)"
        )
    return f"{path} is no archive: it does not begin as one (another kind of file, or damaged)"


def check_kind(path: Path, file: h5py.File) -> None:
    """Refuses sealed files of another kind and archives of a later version."""
    kind, schema = file.attrs.get("format"), file.attrs.get("schema")
    if kind != FORMAT:
        raise ArchiveError(f"{path} is no archive: its format is {str(kind)[:60]!r}, expected {FORMAT!r}")
    if not isinstance(schema, (int, np.integer)) or schema < 1:
        raise ArchiveError(f"{path} is a damaged archive: its schema is {str(schema)[:60]!r}")
    if schema > SCHEMA:
        raise ArchiveError(f"{path} has the schema {schema}, this version reads {SCHEMA}: update evo_qnas")
    if schema < SCHEMA:
        raise ArchiveError(
            f"{path} has the schema {schema} of an earlier version, this one reads {SCHEMA}: search anew, or export it "
            "with the version that wrote it"
        )


def _header(file: h5py.File, reader: SafeReader) -> Header:
    data = child(file, "evaluations")
    objectives, constraints = child(data, "objectives"), child(data, "constraints")
    infos = zip(*(list(objectives.attrs[key]) for key in ("name", "unit", "maximize")), strict=True)
    limits = zip(*(list(constraints.attrs[key]) for key in ("name", "unit")), strict=True)
    seed = json.loads(file.attrs["seed"])
    return Header(
        problem=MappingProxyType(json.loads(array(file, "problem", "S", 0).item())),
        blocks=tuple(reader.texts(file, "block_names")),
        objectives=tuple(ObjectiveInfo(name=str(n), unit=str(u), maximize=bool(x)) for n, u, x in infos),
        constraints=tuple(ConstraintInfo(name=str(n), unit=str(u)) for n, u in limits),
        algorithm=str(file.attrs["algorithm"]),
        settings=MappingProxyType(json.loads(file.attrs["settings"])),
        seed=None if seed is None else int(seed),
        fingerprint=str(file.attrs["fingerprint"]),
    )


def _history(group: h5py.Group) -> History:
    return History(
        generation=array(group, "generation", "i", 1),
        evaluations=array(group, "evaluations", "i", 1),
        feasible=array(group, "feasible", "i", 1),
        hypervolume=array(group, "hypervolume", "f", 1),
        error=array(group, "error", "f", 1),
        ideal=np.asarray(group.attrs["ideal"]),
        nadir=np.asarray(group.attrs["nadir"]),
        reference=float(group.attrs["reference"]),
    )


def _validated(group: h5py.Group) -> tuple[Validated, ...]:
    networks = []
    for key in sorted(group):
        member = child(group, key)
        before, after, files = (child(member, part).attrs for part in ("before", "after", "files"))
        networks.append(
            Validated(
                id=str(member.attrs["id"]),
                genome=tuple(array(member, "genome", "i", 1).tolist()),
                before=MappingProxyType({str(name): float(value) for name, value in before.items()}),
                after=MappingProxyType({str(name): float(value) for name, value in after.items()}),
                files=MappingProxyType({str(name): str(value) for name, value in files.items()}),
            )
        )
    return tuple(networks)
