"""Archives without a seal, which other programs have written."""

from pathlib import Path

import h5py

from evo_qnas.archive.layout import FORMAT, Contents
from evo_qnas.archive.plain import read_plain
from evo_qnas.archive.strangers import trial
from evo_qnas.errors import ArchiveError, TableError
from evo_qnas.tables.safe_hdf5 import DAMAGE, damage_text

_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_unsealed(path: Path) -> bool:
    """True for an HDF5 file without a seal that says that it is an archive."""
    try:
        with path.open("rb") as handle:
            if handle.read(len(_SIGNATURE)) != _SIGNATURE:
                return False
            handle.seek(0)
            # Looked for in its bytes: libhdf5 is not to see what may be damaged.
            return FORMAT.encode() in handle.read()
    except OSError:
        return False


def unsealed_contents(path: Path) -> Contents:
    """The contents of an archive that another program has written.

    Raises:
        ArchiveError: it is damaged, or lacks what an archive needs.
    """
    trouble = trial(path)
    if trouble:
        raise ArchiveError(f"{path} is no archive that can be read: {trouble}")
    try:
        with h5py.File(path, "r", locking=False) as file:
            if file.attrs.get("format") != FORMAT:
                raise ArchiveError(f"{path} is no archive: its attribute `format` is not {FORMAT!r}")
        return read_plain(path)
    except TableError as error:
        raise ArchiveError(str(error)) from error
    except DAMAGE as error:
        raise ArchiveError(f"{path} is no archive that can be read: {damage_text(error)}") from error
