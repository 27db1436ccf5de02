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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Int

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.locking import lock
from evo_qnas.archive.records import EARLY, MAGIC, PLACED, frame, pack, pack_asks, payloads, unpack, unpack_asks
from evo_qnas.errors import ArchiveError, way_out
from evo_qnas.files import written_path

# A power cut loses the evaluations of a second at most; a sync costs too much to make one per batch.
SYNC_SECONDS = 1.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """The records of a journal.

    Attributes:
        run: the run it belongs to, an id that its archive carries too; empty where the journal has no first record.
        ordered: (first row, evaluations) in the order they were appended.
        early: evaluations that were known before their position in the order was.
        asked: (first number, events) of a search whose answers come in any order, see `Contents.asks`.
    """

    run: str
    ordered: tuple[tuple[int, Evaluations], ...] = ()
    early: tuple[Evaluations, ...] = ()
    asked: tuple[tuple[int, np.ndarray], ...] = ()

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

    def merged_asks(self, run: str, stored: Int[np.ndarray, "e 2"]) -> Int[np.ndarray, "all 2"]:
        """`stored` events, then those that the journal has beyond them."""
        events = stored
        for start, more in self.asked if run == self.run else ():
            if start <= len(events):
                events = np.concatenate([events, more[len(events) - start :]])
        return events


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
    run, ordered, early, asked = "", [], [], []
    for index, payload in enumerate(payloads(content)):
        try:
            if index == 0:
                run = str(json.loads(payload)["run"])
                continue
            events = unpack_asks(payload)
            if events is not None:
                asked.append(events)
                continue
            kind, start, rows = unpack(payload)
        except (ValueError, KeyError, TypeError, struct.error):
            break
        if kind == EARLY:
            early.append(rows)
        else:
            ordered.append((start, rows))
    return Leftover(run=run, ordered=tuple(ordered), early=tuple(early), asked=tuple(asked))


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
        self._write(MAGIC + frame(payload))

    def append(self, start: int, rows: Evaluations) -> None:
        """Writes evaluations `start ..` of the order."""
        self._write(pack(PLACED, start, rows))

    def keep(self, rows: Evaluations) -> None:
        """Writes evaluations whose position in the order is not known yet."""
        self._write(pack(EARLY, 0, rows))

    def ask(self, start: int, events: Int[np.ndarray, "e 2"], before: tuple[int, Evaluations] | None) -> None:
        """Writes events `start ..` of a search whose answers come in any order, behind evaluations as `append` does."""
        placed = b"" if before is None else pack(PLACED, *before)
        self._write(placed + pack_asks(start, events))

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
            owner = json.loads(next(payloads(handle.read(4096)), b"{}"))
        return f"process {int(owner['pid'])} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"another process, which has not put its name into {path.name} yet"
