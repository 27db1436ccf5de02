"""Reading HDF5 files of strangers: nothing outside the file, no objects, no absurd allocation, one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import EvoQnasError

# Deflate packs at most about 1032 to 1.
_MOST_PACKED = 1100
_MOST_MEMBERS = 100_000
_MOST_BYTES = 256 * 1024**2
_MOST_TEXT = 1024**2

# What h5py raises on damaged files.
_DAMAGE = (
    KeyError,
    AttributeError,
    TypeError,
    ValueError,
    OSError,
    RuntimeError,
    IndexError,
    OverflowError,
    MemoryError,
    SystemError,
)


@final
@dataclass(slots=True, kw_only=True)
class SafeReader:
    """Reads groups, datasets and attributes of one file under a budget of memory.

    Attributes:
        origin: the file, for messages.
        what: what it should be, for messages.
        error: what is raised.
        file: the open file; nothing that it declares may be larger than itself.
        spent: bytes read so far.
    """

    origin: str
    what: str
    error: type[EvoQnasError]
    file: h5py.File
    spent: int = field(default=0)

    @property
    def file_bytes(self) -> int:
        """Size of the file."""
        return int(self.file.id.get_filesize())

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turns whatever h5py raises on a damaged file into one sentence."""
        try:
            yield
        except EvoQnasError:
            raise
        except _DAMAGE as error:
            # str of a KeyError is quoted once more.
            text = " ".join(str(error.args[0] if error.args else "").split()) or type(error).__name__
            raise self.error(f"{self.origin} is a damaged {self.what} file: {text}") from error

    def fail(self, text: str) -> EvoQnasError:
        """The error to raise for a broken rule."""
        return self.error(f"{self.origin} is a damaged {self.what} file: {text}")

    def keys(self, group: h5py.Group) -> list[str]:
        """Names of the members of a group, sorted."""
        if len(group) > _MOST_MEMBERS:
            raise self.fail(f"{group.name} has {len(group)} members")
        return sorted(group)

    def _member(self, group: h5py.Group, name: str) -> Any:
        """A member that lies in this very group; links elsewhere are not followed."""
        if "/" in name or name in {"", "."}:
            raise self.fail(f"{name!r} is no name")
        link = group.get(name, getlink=True)
        if link is None:
            raise self.fail(f"{group.name} has no {name!r}")
        if not isinstance(link, h5py.HardLink):
            raise self.fail(f"{group.name}/{name} is a link to another place, which is not followed")
        return group[name]

    def group(self, parent: h5py.Group, name: str) -> h5py.Group:
        """The group `name` in `parent`."""
        found = self._member(parent, name)
        if not isinstance(found, h5py.Group):
            raise self.fail(f"{parent.name}/{name} is no group")
        return found

    def dataset(self, parent: h5py.Group, name: str) -> h5py.Dataset:
        """The dataset `name` in `parent`, known to lie in this file and to fit into it; its bytes count as read."""
        found = self._member(parent, name)
        if not isinstance(found, h5py.Dataset):
            raise self.fail(f"{parent.name}/{name} is no dataset")
        if found.is_virtual or found.external:
            raise self.fail(f"{found.name} lies in another file, which is not followed")
        if found.shape is None:
            raise self.fail(f"{found.name} is empty")
        declared = int(np.prod([float(length) for length in found.shape])) * max(found.dtype.itemsize, 1)
        stored = int(found.id.get_storage_size())
        allowed = min(stored, self.file_bytes) * (_MOST_PACKED if found.chunks is not None else 1)
        self.spent += declared
        if declared > allowed or self.spent > max(_MOST_BYTES, self.file_bytes):
            raise self.fail(f"{found.name} declares {declared} bytes, more than the file holds")
        return found

    def numbers(self, parent: h5py.Group, name: str) -> Float[np.ndarray, " length"]:
        """A one-dimensional dataset of numbers as float64."""
        found = self.dataset(parent, name)
        if found.dtype.kind not in "fiu" or found.dtype.itemsize > 8 or found.ndim != 1:
            raise self.fail(f"{found.name} must hold one row of numbers, not {found.dtype} of shape {found.shape}")
        return np.asarray(found[()], dtype=np.float64)

    def number(self, parent: h5py.Group, name: str) -> float:
        """A single number."""
        found = self.dataset(parent, name)
        if found.dtype.kind not in "fiu" or found.dtype.itemsize > 8 or found.shape != ():
            raise self.fail(f"{found.name} must hold one number, not {found.dtype} of shape {found.shape}")
        return float(found[()])

    def integers(self, parent: h5py.Group, name: str) -> Int[np.ndarray, " length"]:
        """A one-dimensional dataset of integers as int64."""
        found = self.dataset(parent, name)
        if found.dtype.kind not in "iu" or found.ndim != 1:
            raise self.fail(f"{found.name} must hold one row of integers, not {found.dtype} of shape {found.shape}")
        return np.asarray(found[()], dtype=np.int64)

    def texts(self, parent: h5py.Group, name: str) -> list[str]:
        """A one-dimensional dataset of text."""
        found = self.dataset(parent, name)
        if h5py.check_string_dtype(found.dtype) is None or found.ndim != 1:
            raise self.fail(f"{found.name} must hold one row of text, not {found.dtype} of shape {found.shape}")
        if found.dtype.kind == "O":
            self._check_lengths(found)
        return [self._text(value, found.name) for value in found[()]]

    def _check_lengths(self, texts: h5py.Dataset) -> None:
        """Holds the lengths of texts against the file's, because libhdf5 takes memory for them before it looks."""
        offset = texts.id.get_offset()
        if texts.chunks is not None or (offset is None and texts.size):
            raise self.fail(f"{texts.name} must be stored in one piece, without filters")
        # Per text: 4 bytes length, 8 bytes address of its heap, 4 bytes position in the heap.
        raw = self._image(offset or 0, 16 * texts.size)
        lengths = np.frombuffer(raw, dtype="<u4")[0::4].astype(np.int64)
        if len(raw) != 16 * texts.size or lengths.sum() > self.file_bytes or (lengths > _MOST_TEXT).any():
            raise self.fail(f"{texts.name} declares texts that are longer than the file")

    def _image(self, offset: int, length: int) -> bytes:
        """Raw bytes of the file."""
        if self.file.driver == "core":
            image: bytes = self.file.id.get_file_image()
            return image[offset : offset + length]
        with Path(self.file.filename).open("rb") as handle:
            handle.seek(offset)
            return handle.read(length)

    def _text(self, value: Any, where: str) -> str:
        found = bytes(value).decode("utf-8") if isinstance(value, bytes) else value
        if not isinstance(found, str) or len(found) > _MOST_TEXT:
            raise self.fail(f"{where} must be text")
        return found

    def _attribute(self, owner: h5py.Group | h5py.Dataset, name: str) -> Any:
        """A single value of an attribute."""
        if name not in owner.attrs:
            raise self.fail(f"{owner.name} has no attribute {name!r}")
        known = owner.attrs.get_id(name)
        if known.shape != ():
            raise self.fail(f"the attribute {name!r} of {owner.name} must be a single value")
        if known.dtype.kind == "O" and h5py.check_string_dtype(known.dtype) is None:
            raise self.fail(f"the attribute {name!r} of {owner.name} must be text or a number")
        return owner.attrs[name]

    def text_attribute(self, owner: h5py.Group | h5py.Dataset, name: str, *, default: str | None = None) -> str:
        """An attribute that is text; `default` where there is none."""
        if default is not None and name not in owner.attrs:
            return default
        return self._text(self._attribute(owner, name), f"the attribute {name!r} of {owner.name}")

    def integer_attribute(self, owner: h5py.Group | h5py.Dataset, name: str) -> int:
        """An attribute that is an integer."""
        value = self._attribute(owner, name)
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
            raise self.fail(f"the attribute {name!r} of {owner.name} must be an integer, not {value!r}")
        return int(value)
