"""The writer of an archive: evaluations go to the journal at once, the file is written at the start and the end."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, final

import numpy as np
from jaxtyping import Int

from evo_qnas.archive.archive import Archive
from evo_qnas.archive.evaluations import Evaluations, narrow
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import Traced
from evo_qnas.archive.journal import SYNC_SECONDS, Journal, cannot_write, journal_path, read_journal
from evo_qnas.archive.layout import Contents, write_archive
from evo_qnas.archive.resuming import earlier_contents
from evo_qnas.errors import ArchiveError

# A kill loses the evaluations of a quarter of a second at most.
FLUSH_SECONDS = 0.25
# Batches that are kept apart before they are joined: joining every batch would take quadratic time.
_PIECES = 4096


@final
class Recorder:
    """Takes down a search in order; what is appended is on the disk a quarter of a second later.

    Use it as a context manager, so that what is known is saved whatever happens.

    A search that is resumed runs again from its seed: it takes the values of genomes in `recorded` from there and
    appends *every* evaluation again, in order. Rows that the archive has already are held against it and not
    written twice.
    """

    def __init__(
        self,
        path: Path | None,
        header: Header,
        journal: Journal | None,
        stored: Contents | None = None,
        early: Evaluations | None = None,
    ) -> None:
        self._path = path
        self._journal = journal
        nothing = Evaluations.empty(len(header.blocks), len(header.objectives), len(header.constraints))
        self._contents = stored or Contents(run=uuid.uuid4().hex, header=header, evaluations=nothing)
        self._asked: list[tuple[int, int]] = [(int(count), int(networks)) for count, networks in self._contents.asks]
        self._known = self._contents.evaluations
        self._early = nothing if early is None else early
        self._kept = early is not None
        self._pieces: list[Evaluations] = []
        self._blocks: list[Evaluations] = []
        self._count = 0
        self._saved = len(self._known)
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._trouble: ArchiveError | None = None
        self._started = time.monotonic()

    @classmethod
    def open(
        cls,
        path: str | Path | None,
        header: Header,
        *,
        resume: bool = True,
        check: Callable[[Evaluations], None] | None = None,
    ) -> "Recorder":
        """A recorder for the archive at `path`, or in memory alone where that is None.

        Args:
            path: the archive; missing folders are made.
            header: what the search is a function of.
            resume: go on from an archive that is there; False starts anew and replaces it.
            check: called with what an earlier run recorded, before anything is written; may raise.

        Raises:
            ArchiveError: another process writes the archive, it is damaged or belongs to another search (the text
                says what differs), or the folder cannot be written.
        """
        if path is None:
            return cls(None, header, None)
        file = Path(path)
        journal = Journal.open(file)
        try:
            stored = earlier_contents(file, header) if resume else None
            left = read_journal(journal_path(file))
            ours = stored is not None and left is not None and left.run == stored.run
            early = left.unordered(stored.evaluations) if ours and stored is not None and left is not None else None
            recorder = cls(file, header, journal, stored, early)
            if check is not None:
                check(recorder.recorded)
            recorder._begin(file, journal, rewrite=stored is None or ours)
        except BaseException:
            journal.close(remove=journal.is_empty)
            raise
        return recorder

    def _begin(self, path: Path, journal: Journal, *, rewrite: bool) -> None:
        """Makes the file hold all that is known, then empties the journal."""
        try:
            if rewrite:
                write_archive(self._contents, path, sync=bool(len(self._known)))
            journal.begin(self._contents.run)
            if len(self._early):
                journal.keep(self._early)
        except OSError as error:
            raise cannot_write(path, error) from error

    @property
    def recorded(self) -> Evaluations:
        """The evaluations of an earlier run: those in order, then those it knew before their turn."""
        return Evaluations.joined([self._known, self._early]) if len(self._early) else self._known

    def __len__(self) -> int:
        """Evaluations appended so far, replayed ones included."""
        return self._count

    def append(self, evaluations: Evaluations) -> None:
        """Takes down the next evaluations of the search, replayed ones included.

        Raises:
            ArchiveError: the disk is full, or a replayed search left the recorded order.
        """
        start = self._count
        overlap = min(max(len(self._known) - start, 0), len(evaluations))
        new = evaluations
        if overlap:
            self._check_replay(start, evaluations.genomes[:overlap])
            new = evaluations.rows(overlap)
        self._count += len(evaluations)
        self._raise_trouble()
        if not len(new):
            return
        with self._lock:
            self._pieces.append(new)
            if self._timer is None and self._journal is not None:
                self._timer = threading.Timer(FLUSH_SECONDS, self._flush_later)
                self._timer.daemon = True
                self._timer.start()
        if len(self._pieces) >= _PIECES:
            self.flush()

    def flush(self) -> None:
        """Writes what was appended to the journal now.

        Raises:
            ArchiveError: the disk is full.
        """
        with self._lock:
            batch = self._unwritten()
            if batch is not None:
                self._guard(lambda journal: journal.append(*batch))

    def _unwritten(self) -> tuple[int, Evaluations] | None:
        """What was appended since the last time, with the number of its first row; None for nothing."""
        if not self._pieces:
            return None
        joined = Evaluations.joined(self._pieces)
        self._pieces.clear()
        self._blocks.append(replace(joined, genomes=narrow(joined.genomes)))
        start, self._saved = self._saved, self._saved + len(joined)
        return start, self._blocks[-1]

    def _flush_later(self) -> None:
        """Runs in a thread of its own, so that a slow next evaluation keeps nothing from the disk."""
        try:
            with self._lock:
                self._timer = None
                self.flush()
        except ArchiveError as error:
            self._trouble = error

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble

    def keep(self, evaluations: Evaluations) -> None:
        """Saves evaluations whose turn in the order has not come; a resumed search finds them in `recorded`."""
        if len(evaluations):
            self._kept = True
            with self._lock:
                self._guard(lambda journal: journal.keep(evaluations))

    @property
    def header(self) -> Header:
        """The search."""
        return self._contents.header

    @property
    def asks(self) -> Int[np.ndarray, "e 2"]:
        """Events of a search whose answers come in any order, see `Contents.asks`."""
        return np.array(self._asked, dtype=np.int64).reshape(-1, 2)

    def ask(self, networks: int) -> None:
        """Takes down that networks were asked for, or what else `Contents.asks` holds, at once.

        Raises:
            ArchiveError: the disk is full.
        """
        event = np.array([[self._count, networks]], dtype=np.int64)
        with self._lock:
            start, batch = len(self._asked), self._unwritten()
            self._asked.append((self._count, networks))
            self._guard(lambda journal: journal.ask(start, event, batch))

    def snapshot(self) -> Archive:
        """The archive so far, in memory."""
        with self._lock:
            return Archive(self._now(), self._path)

    def finish(self, extra_attributes: Mapping[str, Any] | None = None) -> Archive:
        """The finished archive; its file is whole and the journal gone.

        Args:
            extra_attributes: JSON-able facts about the run, `Archive.extras`.

        Raises:
            ArchiveError: the disk is full; the journal stays, so that nothing is lost.
        """
        extras = {**self._contents.extras, **(extra_attributes or {})}
        contents = replace(self._now(), finished=True, extras=extras)
        return Archive(contents, self._path, trace=self._save(contents))

    def close(self) -> None:
        """Saves what is known and lets the archive go; after `finish` it does nothing."""
        if self._journal is not None:
            self._save(self._now())

    def _save(self, contents: Contents) -> Traced | None:
        """Writes the file, deletes the journal; a journal whose file cannot be written stays."""
        if self._path is None or self._journal is None:
            return None
        with self._lock:
            journal, self._journal = self._journal, None
            if self._timer is not None:
                self._timer.cancel()
        saved = False
        try:
            trace = write_archive(contents, self._path, sync=time.monotonic() - self._started > SYNC_SECONDS)
            saved = contents.finished or not self._kept
        except OSError as error:
            raise cannot_write(self._path, error) from error
        finally:
            journal.close(remove=saved)
        return trace

    def _guard(self, action: Callable[[Journal], None]) -> None:
        """Writes to the journal; a full disk is one sentence."""
        if self._journal is None or self._path is None:
            return
        try:
            action(self._journal)
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _now(self) -> Contents:
        """All that is known so far."""
        joined = Evaluations.joined([self._known, *self._blocks, *self._pieces])
        evaluations = replace(joined, genomes=joined.genomes.astype(np.int64, copy=False))
        return replace(self._contents, evaluations=evaluations, asks=self.asks)

    def _check_replay(self, start: int, genomes: Int[np.ndarray, "n blocks"]) -> None:
        """Refuses a replay that tries other genomes than the recorded run did."""
        same = (self._known.genomes[start : start + len(genomes)] == genomes).all(axis=1)
        if not same.all():
            raise ArchiveError(
                f"{self._path} cannot be continued: the search now tries other networks from evaluation "
                f"{start + int(same.argmin())} on (other versions of evo_qnas, numpy or pymoo than those recorded?); "
                "use another path, or start anew"
            )

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Saves what is known; an error that is under way is not hidden by a second one of the disk."""
        try:
            self.close()
        except ArchiveError:
            if error is None:
                raise
