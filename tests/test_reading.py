"""JSON and arrays of strangers: one sentence, and no more memory than a file can mean."""

import io
import re
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_qnas.errors import DataError, PictureError
from evo_qnas.reading import array_names, parse_json, read_arrays, read_json

HEADER = b"\x93NUMPY\x01\x00"


def member(shape: str, descr: str = "'<f8'", data: bytes = b"") -> bytes:
    """An `.npy` member that declares what it may not have."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    return HEADER + struct.pack("<H", len(text)) + text + data


def packed(path: Path, content: bytes, *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("pixels.npy", content)
    return path


def encrypted(path: Path, names: Sequence[str] = ("pixels",)) -> Path:
    """A file whose members say that they are encrypted."""
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(f"{name}.npy", member("(1,)", data=bytes(8)))
    raw = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for found in re.finditer(re.escape(mark), bytes(raw)):
            raw[found.start() + at] |= 1
    path.write_bytes(bytes(raw))
    return path


def test_arrays_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", pixels=np.arange(6.0).reshape(2, 3), other=np.zeros(2))
    assert array_names(tmp_path / "a.npz", DataError) == ["pixels", "other"]
    assert read_arrays(tmp_path / "a.npz", ["pixels"], DataError)["pixels"].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(DataError, match="has no array 'labels'; there are: other, pixels"):
        read_arrays(tmp_path / "a.npz", ["labels"], DataError)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (member("(32000000000,)"), r"declares 256 GB, more than the file can have"),
        (member("(4,)", data=bytes(8)), "cannot be read: EOF"),
        (member("(10000000,)", data=bytes(80_000_000)), r"declares 0\.08 GB, more than the file can have"),
        (member("(1" + "0" * 400 + ",)"), "more than the file|cannot be read"),
        (member("(-1,)", data=bytes(8)), "objects"),
        (member("(1,)", "'|O'", b"cos\nsystem\n."), "holds objects, which would run code"),
        (member("(" * 9000 + ")" * 9000), "cannot be read"),
        (HEADER, "cannot be read"),
        (b"", "cannot be read"),
        (b"\x80\x04K\x01.", "cannot be read"),
    ],
)
def test_damaged_arrays(tmp_path: Path, content: bytes, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_arrays(packed(tmp_path / "a.npz", content), ["pixels"], DataError)


def test_damaged_files_of_arrays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="encrypted"):
        read_arrays(encrypted(tmp_path / "encrypted.npz"), ["pixels"], DataError)
    buffer = io.BytesIO()
    np.savez(buffer, pixels=np.random.default_rng(0).random(4000))
    for name, content in (("empty", b""), ("cut", buffer.getvalue()[:9000]), ("npy", member("(1,)", data=bytes(8)))):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        for read in (lambda path: read_arrays(path, ["pixels"], DataError), lambda path: array_names(path, DataError)):
            with pytest.raises(DataError, match=r"\.npz cannot be read"):
                read(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_arrays(tmp_path, ["pixels"], DataError)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e400]", "1e400 is beyond all numbers"),
        ("[" + "1" * 400 + "]", r"1{20}\.\. is beyond whole numbers of 64 bits"),
        ("[9223372036854775808]", "is beyond whole numbers"),
        ("[" * 200_000, "nested too deep"),
        ('["\\ud800"]', "half a character stands alone"),
        ("{", "is no JSON"),
    ],
)
def test_json_that_cannot_be_used(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(PictureError, match=match):
        parse_json(text, "line 3", PictureError)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(PictureError, match=match):
        read_json(tmp_path / "a.json", PictureError)


@pytest.mark.parametrize("value", [{"a": [1, -2.5, None, "\U0001f600"]}, 9223372036854775807])
def test_json_that_can_be_used(tmp_path: Path, value: Any) -> None:
    import json

    assert parse_json(json.dumps(value), "it", PictureError) == value


def test_json_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{\x00}\x00")
    with pytest.raises(PictureError, match="is no UTF-8 text"):
        read_json(tmp_path / "a.json", PictureError)
    with pytest.raises(PictureError, match="cannot be read: Is a directory"):
        read_json(tmp_path, PictureError)
    with (tmp_path / "large.json").open("wb") as handle:
        handle.truncate((64 << 20) + 1)
    with pytest.raises(PictureError, match="more than 64 MiB"):
        read_json(tmp_path / "large.json", PictureError)
