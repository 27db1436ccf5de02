"""Arrays of `.npz` files of strangers: no pickle, and no more memory than the file can fill."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evo_qnas.errors import TableError

# Memory that a small file may make us take, though it declares more than it is large.
_MOST_BYTES = 512 * 1024**2


def array_names(path: Path) -> list[str]:
    """Names of the arrays in an `.npz` file.

    Raises:
        TableError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise TableError(f"{path} cannot be read: {error}") from error


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named arrays of an `.npz` file.

    Raises:
        TableError: the file cannot be read, lacks an array, or holds objects.
    """
    try:
        with zipfile.ZipFile(path) as file:
            for name in names:
                if f"{name}.npy" not in file.namelist():
                    raise TableError(f"{path} has no array {name!r}; there are: {', '.join(array_names(path))}")
                _check_size(path, file, f"{name}.npy")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"{path} cannot be read: {error}") from error


def _check_size(path: Path, file: zipfile.ZipFile, member: str) -> None:
    """Holds the shape that an array declares against the bytes that are there."""
    stored = file.getinfo(member).file_size
    with file.open(member) as handle:
        major, _ = np.lib.format.read_magic(handle)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(handle)
    if dtype.hasobject or float(np.prod([float(n) for n in shape])) * dtype.itemsize > min(stored, _MOST_BYTES):
        raise TableError(f"{path}: the array {member} holds objects or declares more than the file has")
