"""The archive that a search goes on from, after a check that it is of the same search."""

from dataclasses import replace
from pathlib import Path

from evo_qnas.archive.header import GROWING, Header
from evo_qnas.archive.journal import journal_path, read_journal
from evo_qnas.archive.layout import Contents
from evo_qnas.archive.merging import merged_contents
from evo_qnas.archive.reading import open_stored
from evo_qnas.errors import ArchiveError


def earlier_contents(path: Path, header: Header) -> Contents | None:
    """The contents of an archive and its journal, after a check that they belong to the same search."""
    if not path.exists():
        return None
    stored = open_stored(path)
    earlier = replace(
        stored.header, tables=stored.tables() if header.fingerprint != stored.header.fingerprint else None
    )
    changed = list(header.differences(earlier))
    if changed:
        raise ArchiveError(
            f"{path} holds another search ({'; '.join(changed[:3])}): use another path, "
            "or start anew (resume=False, --restart)"
        )
    contents = merged_contents(stored, read_journal(journal_path(path)))
    budget = header.settings.get(GROWING)
    if isinstance(budget, int) and budget < len(contents.evaluations):
        raise ArchiveError(
            f"{path} holds {len(contents.evaluations)} evaluations, {budget} were asked for: "
            "evaluations may only grow; use another path, or start anew (resume=False, --restart)"
        )
    return replace(contents, header=header, finished=False)
