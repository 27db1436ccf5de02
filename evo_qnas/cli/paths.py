"""What the command line means by FILE and DIR: a file by its ending; a run folder, which means one of its files."""

from pathlib import Path
from typing import Any

from evo_qnas.errors import CardError

TABLES, ARCHIVE = "tables.h5", "archive.h5"


def in_folder(path: Path, name: str) -> Path:
    """The file of this name where `path` is a run folder, else `path` itself."""
    return path / name if path.is_dir() else path


def load_tables(path: Path) -> Any:
    """Tables of an HDF5 or CSV file, or of a run folder.

    Raises:
        TableError: the file breaks a rule.
    """
    from evo_qnas.tables import Tables

    path = in_folder(path, TABLES)
    return Tables.from_csv(path) if path.suffix == ".csv" else Tables.load(path)


def must_end(path: Path, what: str, *endings: str) -> Path:
    """The path of a file to write, where its ending says what is written into it.

    What is there and no file is let through: it is refused as such when it is written.

    Raises:
        CardError: another ending, or none.
    """
    if path.suffix.lower() not in endings and (path.is_file() or not path.exists()):
        raise CardError(f"{path}: {what}, give a name that ends in {endings[0]}")
    return path


def must_be_hdf5(path: Path, what: str) -> Path:
    """The path of an HDF5 file to write.

    Raises:
        CardError: another ending, or none.
    """
    return must_end(path, f"{what} are HDF5 files", ".h5", ".hdf5")
