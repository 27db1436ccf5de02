"""Archive files written anew: saved elsewhere, or with networks that were validated."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evo_qnas.archive.journal import Journal, cannot_write
from evo_qnas.archive.layout import Contents, write_archive
from evo_qnas.archive.reading import StoredFile
from evo_qnas.archive.validated import Validated
from evo_qnas.errors import ArchiveError


def with_networks(contents: Contents, networks: Sequence[Validated]) -> Contents:
    """The contents with these networks as validated; an earlier one of the same id goes.

    Raises:
        ArchiveError: a genome is of another length.
    """
    blocks = len(contents.header.blocks)
    for network in networks:
        if len(network.genome) != blocks:
            raise ArchiveError(f"network {network.id!r} has {len(network.genome)} blocks, the archive has {blocks}")
    ids = {network.id for network in networks}
    kept = tuple(network for network in contents.validated if network.id not in ids)
    return replace(contents, validated=(*kept, *networks))


def replace_archive(contents: Contents, path: Path, stored: StoredFile | None) -> None:
    """Writes the contents in place of the file that they were loaded from.

    Raises:
        ArchiveError: the file is being written by another process, was replaced since, or cannot be written.
    """
    journal = Journal.open(path)
    try:
        if not journal.is_empty or (stored is not None and not stored.is_current()):
            raise ArchiveError(f"{path} was changed since it was loaded: load it again")
        write_or_explain(contents, path)
    finally:
        journal.close(remove=journal.is_empty)


def write_or_explain(contents: Contents, path: Path) -> None:
    """Writes an archive in one step.

    Raises:
        ArchiveError: the file cannot be written; the text says why and what to do.
    """
    try:
        write_archive(contents, path)
    except OSError as error:
        raise cannot_write(path, error) from error
