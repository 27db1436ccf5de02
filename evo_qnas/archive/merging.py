"""Contents put together: an archive file with its journal, and two archives of one problem."""

import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.journal import Leftover, journal_path, read_journal
from evo_qnas.archive.layout import Contents
from evo_qnas.archive.reading import StoredFile, open_stored
from evo_qnas.archive.unsealed import is_unsealed, unsealed_contents
from evo_qnas.errors import ArchiveError


def load_contents(path: Path) -> tuple[Contents, StoredFile | None]:
    """The contents of an archive file with those of its journal.

    Where there is no journal, the evaluations are left in the file, which comes with the contents.

    Raises:
        ArchiveError: the file is missing, is no archive, is of a later version, or is damaged.
    """
    if is_unsealed(path):
        return unsealed_contents(path), None
    while True:
        stored = open_stored(path)
        left = read_journal(journal_path(path))
        if left is not None or stored.finished or stored.is_current():
            break
    if left is not None and left.run == stored.run:
        contents = merged_contents(stored, left)
        early = left.unordered(contents.evaluations)
        if early is not None:
            contents = replace(contents, evaluations=Evaluations.joined([contents.evaluations, early]))
        return contents, None
    contents = Contents(
        run=stored.run,
        header=stored.header,
        evaluations=Evaluations.empty(0, 0, 0),
        finished=stored.finished,
        extras=stored.extras,
        validated=stored.validated,
        asks=stored.asks,
    )
    return contents, stored


def merged_contents(stored: StoredFile, left: Leftover | None) -> Contents:
    """An archive file with what its journal adds."""
    evaluations = stored.evaluations()
    merged = evaluations if left is None else left.merged(stored.run, evaluations)
    return Contents(
        run=stored.run,
        header=replace(stored.header, tables=stored.tables()),
        evaluations=merged,
        finished=stored.finished and len(merged) == len(evaluations),
        extras=stored.extras,
        validated=stored.validated,
        asks=stored.asks if left is None else left.merged_asks(stored.run, stored.asks),
    )


def joined_contents(first: Contents, second: Contents) -> Contents:
    """The evaluations of one, then those of the other whose genomes are new, later in generation.

    Raises:
        ArchiveError: they are of different problems; the text says what differs.
    """
    header, other = first.header, second.header
    same = replace(other, algorithm=header.algorithm, settings=header.settings, seed=header.seed)
    changed = list(header.differences(same))
    if changed:
        raise ArchiveError(f"archives of different problems cannot be merged: {changed[0]}")
    known = {genome.tobytes() for genome in first.evaluations.genomes}
    new = np.array([genome.tobytes() not in known for genome in second.evaluations.genomes], dtype=bool)
    shift = int(first.evaluations.generation.max(initial=-1)) + 1
    added = second.evaluations.chosen(np.flatnonzero(new))
    added = replace(added, generation=added.generation + np.int32(shift))
    ids = {network.id for network in first.validated}
    return Contents(
        run=uuid.uuid4().hex,
        header=replace(
            header,
            algorithm=f"{header.algorithm} + {other.algorithm}",
            settings={"merged": [dict(header.settings), dict(other.settings)]},
            seed=None,
        ),
        evaluations=Evaluations.joined([first.evaluations, added]),
        finished=first.finished and second.finished,
        validated=(*first.validated, *(network for network in second.validated if network.id not in ids)),
    )
