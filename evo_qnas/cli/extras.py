"""Packages that a verb needs and that a plain installation lacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evo_qnas.errors import CardError


@contextmanager
def needs_extra(who: str, extra: str) -> Iterator[None]:
    """A block of imports in which a missing package of others becomes one sentence.

    Args:
        who: subject of the sentence.
        extra: of evo-qnas, as for pip; several with commas.

    Raises:
        CardError: a package that is not evo_qnas's own is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("evo_qnas"):
            raise
        raise CardError(f"{who} needs {error.name}, which is not installed: pip install 'evo-qnas[{extra}]'") from error


def must_be_hdf5(path: Path, what: str) -> Path:
    """The path of a file to write, where its ending is one of HDF5 files.

    What is there and no file is let through: it is refused as such when it is written.

    Raises:
        CardError: another ending, or none.
    """
    if path.suffix not in {".h5", ".hdf5"} and (path.is_file() or not path.exists()):
        raise CardError(f"{path}: {what} are HDF5 files, give a name that ends in .h5")
    return path
