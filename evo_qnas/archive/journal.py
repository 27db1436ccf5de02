"""The journal beside a running archive: evaluations are in it before the next ones start.

`<archive>.journal` is a 16-byte magic and records, each `length, CRC-32, payload`. The first record says whose it is
(process, host, run), the others hold evaluations. A record is one `write`: a kill tears at most the one that
is under way. The file is flushed to the disk at most once a second. Its lock refuses a second writer.
"""

import json
import os
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np

from evo_qnas.archive.evaluations import Evaluations, narrow
from evo_qnas.archive.locking import lock
from evo_qnas.errors import ArchiveError, way_out
from evo_qnas.files import written_path

MAGIC = b"evo_qnas log  1\n"
# A power cut loses the evaluations of a second at most; a sync costs too much to make one per batch.
SYNC_SECONDS = 1.0
_FRAME = struct.Struct("<II")
_SHAPE = struct.Struct("<BBHIQIIII")
_KINDS: tuple[np.dtype[Any], ...] = (np.dtype("u1"), np.dtype("<u2"), np.dtype("<i8"))
_PLACED, _EARLY = 0, 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """The records of a journal.

    Attributes:
        run: the run it belongs to, an id that its archive carries too; empty where the journal has no first record.
        ordered: (first row, evaluations) in the order they were appended.
        early: evaluations that were known before their position in the order was.
    """

    run: str
    ordered: tuple[tuple[int, Evaluations], ...] = ()
    early: tuple[Evaluations, ...] = ()

    def unordered(self, ordered: Evaluations) -> Evaluations | None:
        """The early evaluations that are not among the ordered ones, or None."""
        if not self.early:
            return None
        early = Evaluations.joined(self.early)
        known = {genome.tobytes() for genome in ordered.genomes.astype(np.int64)}
        rows = [early.rows(row, row + 1) for row in range(len(early)) if early.genomes[row].tobytes() not in known]
        return Evaluations.joined(rows) if rows else None

    def merged(self, run: str, stored: Evaluations) -> Evaluations:
        """`stored`, then the journal's rows that it lacks; a journal of another run adds nothing."""
        if run != self.run:
            return stored
        parts, filled = [stored], len(stored)
        for start, rows in self.ordered:
            if start > filled:
                break
            if start + len(rows) > filled:
                parts.append(rows.rows(filled - start))
                filled = start + len(rows)
        return Evaluations.joined(parts)


def journal_path(archive: Path) -> Path:
    """The path of an archive's journal: beside the file that a link leads to, so that all names share one."""
    file = Path(os.path.realpath(archive)) if os.path.islink(archive) else archive
    return file.with_name(f"{file.name}.journal")


def read_journal(path: Path) -> Leftover | None:
    """The records of a journal up to its first torn one, or None where there is no journal."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error
    run, ordered, early = "", [], []
    for index, payload in enumerate(_payloads(content)):
        try:
            if index == 0:
                run = str(json.loads(payload)["run"])
                continue
            kind, start, rows = _unpack(payload)
        except (ValueError, KeyError, TypeError, struct.error):
            break
        if kind == _EARLY:
            early.append(rows)
        else:
            ordered.append((start, rows))
    return Leftover(run=run, ordered=tuple(ordered), early=tuple(early))


def _payloads(content: bytes) -> Iterator[bytes]:
    """The whole records of a journal, the end at the first torn one."""
    if not content.startswith(MAGIC):
        return
    at = len(MAGIC)
    while at + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, at)
        payload = content[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        at += _FRAME.size + length


def _pack(kind: int, start: int, rows: Evaluations) -> bytes:
    """One record of evaluations, frame included."""
    genomes = narrow(rows.genomes)
    code = next(i for i, dtype in enumerate(_KINDS) if dtype.itemsize == genomes.dtype.itemsize)
    reasons = json.dumps({str(row): why for row, why in rows.reasons.items()}).encode() if rows.reasons else b""
    sizes = (rows.genomes.shape[1], rows.objectives.shape[1], rows.constraints.shape[1])
    payload = b"".join(
        (
            _SHAPE.pack(kind, code, 0, len(rows), start, *sizes, len(reasons)),
            genomes.astype(_KINDS[code], copy=False).tobytes(),
            *(part.astype(dtype, copy=False).tobytes() for part, dtype in zip(rows.parts[1:], _PARTS, strict=True)),
            reasons,
        )
    )
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


_PARTS: tuple[np.dtype[Any], ...] = (np.dtype("<f8"), np.dtype("<f8"), np.dtype("<i4"), np.dtype("<f8"), np.dtype("u1"))


def _unpack(payload: bytes) -> tuple[int, int, Evaluations]:
    """Kind, first row and evaluations of one record."""
    kind, code, _, n, start, blocks, m, k, length = _SHAPE.unpack_from(payload)
    shapes = ((n, blocks), (n, m), (n, k), (n,), (n,), (n,))
    dtypes = (_KINDS[min(code, len(_KINDS) - 1)], *_PARTS)
    need = sum(int(np.prod(shape, dtype=object)) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True))
    if need + _SHAPE.size + length != len(payload):
        raise ValueError("a record whose length does not fit its shape")
    parts, at = [], _SHAPE.size
    for shape, dtype in zip(shapes, dtypes, strict=True):
        count = int(np.prod(shape, dtype=np.int64))
        parts.append(np.frombuffer(payload, dtype, count, at).reshape(shape))
        at += count * dtype.itemsize
    reasons = {int(row): str(why) for row, why in json.loads(payload[at:]).items()} if length else {}
    rows = Evaluations(
        genomes=parts[0].astype(np.int64),
        objectives=parts[1],
        constraints=parts[2],
        generation=parts[3],
        seconds=parts[4],
        state=parts[5],
        reasons=MappingProxyType(reasons),
    )
    return kind, start, rows


@final
class Journal:
    """The journal of one writer, locked from `Journal.open` to `close`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._synced = time.monotonic()

    @classmethod
    def open(cls, archive: Path) -> "Journal":
        """The locked journal of an archive; what an earlier writer left in it stays until `begin`.

        Raises:
            ArchiveError: another process writes this archive (the text names it), the folder cannot be written, or its
                file system has no locks.
        """
        try:
            written_path(archive)
            path = journal_path(archive)
            written_path(path).parent.mkdir(parents=True, exist_ok=True)
            while True:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
                if cls._locked(archive, path, descriptor):
                    return cls(path, descriptor)
        except OSError as error:
            raise cannot_write(archive, error) from error

    @staticmethod
    def _locked(archive: Path, path: Path, descriptor: int) -> bool:
        """True where the open journal is locked; else it is closed, and one that was just made is removed."""
        held = ours = False
        try:
            held = not lock(descriptor, str(archive))
            ours = not held and _same_file(path, descriptor)
        finally:
            if not ours:
                # Without a lock nobody has written to it: what is empty was made just now.
                if not held and os.fstat(descriptor).st_size == 0 and _same_file(path, descriptor):
                    path.unlink(missing_ok=True)
                os.close(descriptor)
        if held:
            raise ArchiveError(f"{archive} is being written by {_owner(path)}: wait for it, or use another path")
        return ours

    def begin(self, run: str) -> None:
        """Empties the journal and writes whose it is."""
        owner = {"run": run, "pid": os.getpid(), "host": socket.gethostname()}
        payload = json.dumps(owner).encode()
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._write(MAGIC + _FRAME.pack(len(payload), zlib.crc32(payload)) + payload)

    def append(self, start: int, rows: Evaluations) -> None:
        """Writes evaluations `start ..` of the order."""
        self._write(_pack(_PLACED, start, rows))

    def keep(self, rows: Evaluations) -> None:
        """Writes evaluations whose position in the order is not known yet."""
        self._write(_pack(_EARLY, 0, rows))

    def _write(self, record: bytes) -> None:
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        view = memoryview(record)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            # Half a record would hide all that come after it; the first error is the one to report.
            with suppress(OSError):
                os.ftruncate(self._descriptor, end)
                os.lseek(self._descriptor, end, os.SEEK_SET)
            raise
        now = time.monotonic()
        if now - self._synced >= SYNC_SECONDS:
            os.fsync(self._descriptor)
            self._synced = time.monotonic()

    @property
    def is_empty(self) -> bool:
        """True where nothing was ever written to it."""
        return os.fstat(self._descriptor).st_size == 0

    def close(self, *, remove: bool) -> None:
        """Lets the lock go; `remove` deletes the journal, whose rows are in the archive by then."""
        if self._descriptor < 0:
            return
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


def cannot_write(archive: Path, error: OSError) -> ArchiveError:
    """The error of a full disk, a read-only folder and the like."""
    way = way_out(error)
    if os.path.isfile(archive):
        way = "the last good file is in place, and the same command goes on from it once there is room and permission"
    return ArchiveError(f"{archive} cannot be written: {error.strerror or error}; {way}".removesuffix("; "))


def _same_file(path: Path, descriptor: int) -> bool:
    """True while the path still names the open file; a writer that ended in between has removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _owner(path: Path) -> str:
    """The process in the first record of a journal, in words."""
    try:
        with path.open("rb") as handle:
            owner = json.loads(next(_payloads(handle.read(4096)), b"{}"))
        return f"process {int(owner['pid'])} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"another process, which has not put its name into {path.name} yet"
