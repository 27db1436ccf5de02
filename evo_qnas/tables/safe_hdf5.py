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
# Memory that a small file may make us take, though it declares more than it is large.
_MOST_BYTES = 256 * 1024**2
# A text longer than this is no name, unit or JSON of a column.
_MOST_TEXT = 1024**2
# Letters of an error's text that a message repeats.
_LONGEST = 300

# The errors that h5py raises on damaged files.
DAMAGE = (
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


def damage_text(error: BaseException) -> str:
    """The first line of an error of h5py, not endless."""
    # str of a KeyError is quoted once more.
    text = " ".join(str(error.args[0] if error.args else "").split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


@final
@dataclass(slots=True, kw_only=True)
class SafeReader:
    """Reads datasets and attributes of one file under a budget of memory.

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
    def damage(self) -> Iterator[None]:
        """Turns whatever h5py raises on a damaged file into one sentence."""
        try:
            yield
        except EvoQnasError:
            raise
        except DAMAGE as error:
            raise self.error(f"{self.origin} is a damaged {self.what} file: {damage_text(error)}") from error

    def fail(self, text: str) -> EvoQnasError:
        """The error to raise for a broken rule."""
        return self.error(f"{self.origin} is a damaged {self.what} file: {text}")

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

    def dataset(self, parent: h5py.Group, name: str) -> h5py.Dataset:
        """The dataset `name` in `parent`, known to lie in this file and to fit into it; its bytes count as read."""
        member = self._member(parent, name)
        if not isinstance(member, h5py.Dataset):
            raise self.fail(f"{parent.name}/{name} is no dataset")
        if member.is_virtual or member.external:
            raise self.fail(f"{member.name} lies in another file, which is not followed")
        if member.shape is None:
            raise self.fail(f"{member.name} is empty")
        declared = int(np.prod([float(length) for length in member.shape])) * max(member.dtype.itemsize, 1)
        stored = int(member.id.get_storage_size())
        allowed = min(stored, self.file_bytes) * (_MOST_PACKED if member.chunks is not None else 1)
        self.spent += declared
        if declared > allowed or self.spent > max(_MOST_BYTES, self.file_bytes):
            raise self.fail(f"{member.name} declares {declared} bytes, more than the file holds")
        return member

    def numbers(self, parent: h5py.Group, name: str, *, ndim: int = 1) -> Float[np.ndarray, "..."]:
        """A dataset of numbers as float64, one-dimensional unless `ndim` says otherwise."""
        return self._plain(parent, name, kinds="fiu", ndim=ndim).astype(np.float64, copy=False)

    def integers(self, parent: h5py.Group, name: str, *, ndim: int = 1) -> Int[np.ndarray, "..."]:
        """A dataset of integers as int64, one-dimensional unless `ndim` says otherwise."""
        return self._plain(parent, name, kinds="iu", ndim=ndim).astype(np.int64, copy=False)

    def _plain(self, parent: h5py.Group, name: str, *, kinds: str, ndim: int) -> np.ndarray:
        """A dataset of plain numbers."""
        member = self.dataset(parent, name)
        if member.dtype.kind not in kinds or member.dtype.itemsize > 8 or member.ndim != ndim:
            what = f"{'rows' if ndim > 1 else 'one row'} of {'numbers' if 'f' in kinds else 'integers'}"
            raise self.fail(f"{member.name} must hold {what}, not {member.dtype} of shape {member.shape}")
        return np.asarray(member[()])

    def texts(self, parent: h5py.Group, name: str) -> list[str]:
        """A one-dimensional dataset of text."""
        member = self.dataset(parent, name)
        if h5py.check_string_dtype(member.dtype) is None or member.ndim != 1:
            raise self.fail(f"{member.name} must hold one row of text, not {member.dtype} of shape {member.shape}")
        if member.dtype.kind == "O":
            self._check_lengths(member)
        return [self._text(value, member.name) for value in member[()]]

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
        text = bytes(value).decode("utf-8") if isinstance(value, bytes) else value
        if not isinstance(text, str) or len(text) > _MOST_TEXT:
            raise self.fail(f"{where} must be text")
        return text

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
