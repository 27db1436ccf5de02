"""Files that are either whole or absent (write aside, flush to disk, rename), and seals that show damage."""

import errno
import hashlib
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from evo_qnas.errors import FileError

# File systems take names of 255 bytes; the rest is for the marks of a file aside.
_LONGEST_NAME = 200


def written_path(path: str | Path) -> Path:
    """The file that a write to `path` makes or replaces: links are followed, so that they stay what they are.

    Raises:
        FileError: there is a folder, device, pipe or socket, or the path cannot be looked up.
    """
    target = Path(path)
    try:
        if target.is_symlink():
            target = Path(os.path.realpath(target))
        mode = target.stat().st_mode if target.name else stat.S_IFDIR
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise FileError(error.errno, error.strerror, str(path)) from error
    if stat.S_ISDIR(mode):
        raise FileError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise FileError(errno.EISDIR, "it is a device, pipe or socket", str(path))
    return target


@contextmanager
def replacing(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """Yields a path to write to; it becomes `path` in one step when the block ends without an error.

    A kill at any moment leaves either the old file or the new one. The aside file is named after the process, so that
    two processes never write into one. Where `path` is a link, the file that it leads to is replaced.

    Args:
        path: the file to replace; missing parent folders are made.
        sync: flush the file to the disk before the rename, so that it also survives a power loss.

    Raises:
        FileError: the disk is full, the folder cannot be written, or `path` is there and is no regular file.
    """
    target = written_path(path)
    aside = target.with_name(f".{_short(target.name)}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        if sync:
            with aside.open("rb+") as handle:
                os.fsync(handle.fileno())
        aside.replace(target)
    except FileError:
        raise
    except OSError as error:
        # The block may also read files; their errors are not ours. Errors of a write name no file.
        names = {str(aside), *map(str, aside.parents)}
        if error.errno is None or not (error.filename is None or str(error.filename) in names):
            raise
        raise FileError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _short(name: str) -> str:
    """A name, or a digest in place of one that leaves no room for marks."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST_NAME else hashlib.sha256(encoded).hexdigest()


def write_text(path: str | Path, text: str) -> None:
    """Writes `text` as UTF-8 in one step (see `replacing`)."""
    try:
        content = text.replace("\n", os.linesep).encode("utf-8")
    except UnicodeEncodeError as error:
        cause = "a name in its text is not UTF-8"
        raise FileError(errno.EILSEQ, cause, str(path)) from error
    write_bytes(path, content)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes `content` in one step (see `replacing`)."""
    with replacing(path) as aside:
        aside.write_bytes(content)


def reserve(path: Path, length: int) -> None:
    """Makes a file at least so long, with its room on the disk: a mapped file that meets a full disk ends the process.

    Raises:
        FileError: there is no room, or the file cannot be written.
    """
    target = written_path(path)
    try:
        with open(os.open(target, os.O_RDWR | os.O_CREAT, 0o666), "rb+", buffering=0) as handle:
            if not hasattr(os, "posix_fallocate"):
                handle.truncate(max(length, target.stat().st_size))
            elif length:
                os.posix_fallocate(handle.fileno(), 0, length)
    except OSError as error:
        raise FileError(error.errno, error.strerror, str(path)) from error


# HDF5 looks for its signature at multiples of 512 bytes, so that the seal can stand before it.
SEAL_BYTES = 512
_MAGIC = b"evo_qnas seal 1\n"
_EXTENT = struct.Struct("<QQI")
_COUNTS = struct.Struct("<QIIQ")
_MOST_EXTENTS = (SEAL_BYTES - len(_MAGIC) - _COUNTS.size - 4) // _EXTENT.size


@dataclass(frozen=True, slots=True)
class Seal:
    """Checksums in front of an HDF5 file, in its user block: plain h5py skips them, our readers check them first.

    libhdf5 is not made for damaged files (some crash it), so nothing is handed to it before its metadata is known to be
    what was written. Large raw data (`extents`) has checksums of its own and is checked when it is read.

    Attributes:
        length: bytes of the whole file.
        checksum: CRC-32 of all bytes after the seal but those of the extents.
        extents: (offset, length, CRC-32) of raw data that is checked later, by rising offset.
    """

    length: int
    checksum: int
    extents: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, image: bytes | memoryview, extents: Iterable[tuple[int, int]] = ()) -> "Seal":
        """The seal of an HDF5 image that has no user block; `extents` are (offset, length) in the image."""
        view = memoryview(image)
        chosen = sorted((offset, length) for offset, length in extents if length)
        if len(chosen) > _MOST_EXTENTS:
            raise ValueError(f"a seal holds at most {_MOST_EXTENTS} extents, got {len(chosen)}")
        checksum, at = 0, 0
        for offset, length in (*chosen, (len(view), 0)):
            checksum = zlib.crc32(view[at:offset], checksum)
            at = offset + length
        checked = tuple((o + SEAL_BYTES, n, zlib.crc32(view[o : o + n])) for o, n in chosen)
        return cls(SEAL_BYTES + len(view), checksum, checked)

    def pack(self) -> bytes:
        """The 512 bytes to put in front of the image."""
        head = _MAGIC + _COUNTS.pack(self.length, self.checksum, len(self.extents), 0)
        head += b"".join(_EXTENT.pack(*extent) for extent in self.extents)
        head = head.ljust(SEAL_BYTES - 4, b"\0")
        return head + zlib.crc32(head).to_bytes(4, "little")

    @classmethod
    def unpack(cls, head: bytes) -> "Seal | None":
        """The seal in the first 512 bytes of a file, or None where there is none.

        Raises:
            ValueError: there is one, and it is damaged.
        """
        if not head.startswith(_MAGIC):
            return None
        if len(head) < SEAL_BYTES or zlib.crc32(head[:-4]) != int.from_bytes(head[-4:], "little"):
            raise ValueError("its first 512 bytes are damaged")
        length, checksum, count, _ = _COUNTS.unpack_from(head, len(_MAGIC))
        start = len(_MAGIC) + _COUNTS.size
        extents = tuple(_EXTENT.unpack_from(head, start + i * _EXTENT.size) for i in range(min(count, _MOST_EXTENTS)))
        return cls(length, checksum, extents)

    def check(self, handle: BinaryIO) -> None:
        """Reads all but the extents of an open file and holds it against the seal.

        Raises:
            ValueError: the file was cut short, grew, or changed; the text says which.
        """
        size = os.fstat(handle.fileno()).st_size
        if size != self.length:
            raise ValueError(f"it has {size} bytes and was written with {self.length}")
        checksum, at = 0, SEAL_BYTES
        for offset, length, _ in (*self.extents, (self.length, 0, 0)):
            if not at <= offset <= offset + length <= self.length:
                raise ValueError("its first 512 bytes are damaged")
            handle.seek(at)
            while at < offset:
                piece = handle.read(min(offset - at, 1 << 20))
                checksum, at = zlib.crc32(piece, checksum), at + max(len(piece), 1)
            at = offset + length
        if checksum != self.checksum:
            raise ValueError("its checksum does not fit: it was damaged, or changed by another program")


def check_seal(path: Path) -> Seal | None:
    """The seal of a file after its check, or None where the file has none; texts in the file are checked either way.

    Raises:
        ValueError: the file is not what was written.
        OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        seal = Seal.unpack(handle.read(SEAL_BYTES))
        if seal is not None:
            seal.check(handle)
        if os.fstat(handle.fileno()).st_size:
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as view:
                _check_heaps(view, () if seal is None else seal.extents)
        return seal


_HEAP = b"GCOL\x01\x00\x00\x00"
_HEAP_SIZE = struct.Struct("<Q")
_HEAP_OBJECT = struct.Struct("<HHIQ")


def _check_heaps(view: mmap.mmap, extents: Iterable[tuple[int, int, int]]) -> None:
    """Walks the heaps in which HDF5 keeps texts, outside the extents: libhdf5 goes round for ever in a damaged one.

    A heap is a signature, its size, and objects (index, references, size, content filled up to 8 bytes). Index 0 is
    free space, whose size counts its own header (HDF5 File Format Specification 3.0, III.E).
    """
    start = 0
    for offset, length in sorted([*((offset, length) for offset, length, _ in extents), (len(view), 0)]):
        at = view.find(_HEAP, start, offset)
        while at >= 0:
            _check_heap(view, at)
            at = view.find(_HEAP, at + len(_HEAP), offset)
        start = offset + length


def _check_heap(view: mmap.mmap, at: int) -> None:
    """One heap; every object lies in it and takes space."""
    cursor = at + len(_HEAP) + _HEAP_SIZE.size
    end = at + _HEAP_SIZE.unpack_from(view, at + len(_HEAP))[0] if cursor <= len(view) else len(view) + 1
    while cursor + _HEAP_OBJECT.size <= end <= len(view):
        index, _, _, size = _HEAP_OBJECT.unpack_from(view, cursor)
        if index == 0 and size < _HEAP_OBJECT.size:
            end = len(view) + 1
        cursor += size if index == 0 else _HEAP_OBJECT.size + (size + 7) // 8 * 8
    if not cursor <= end <= len(view):
        raise ValueError("its texts are damaged")
