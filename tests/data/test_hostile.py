"""Images, lists and links of strangers."""

import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evo_qnas.data import load_splits
from evo_qnas.data.decoding import decode, size_of
from evo_qnas.data.folder import list_folder
from evo_qnas.data.listing import LabelCoding, Pair
from evo_qnas.errors import DataError
from tests.data.test_folder import card, make

CODING = LabelCoding(names=("a",), codes=((0, 0),))


def huge(path: Path, side: int) -> Path:
    """A PNG of a few bytes that declares `side` x `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_images_of_absurd_sizes(tmp_path: Path, side: int) -> None:
    path = huge(tmp_path / "a.png", side)
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image: Image size"):
        size_of(path)
    with pytest.raises(DataError, match=r"a\.png cannot be read as an image: Image size"):
        decode(Pair(image=path, label=path), (8, 8), CODING, resize=True)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_lists_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    make(tmp_path, ["a", "b", "c", "d"])
    (tmp_path / "train.txt").write_bytes("a\n# \u00fcber\n".encode(encoding))
    with pytest.raises(DataError, match=r"train\.txt is no UTF-8 text \(.* at byte \d+\): save it as UTF-8"):
        list_folder(card(tmp_path))
    (tmp_path / "train.txt").write_bytes("a\nb\n".encode("utf-8-sig"))
    (tmp_path / "val.txt").write_text("c\n")
    (tmp_path / "test.txt").write_text("d\n")
    assert len(list_folder(card(tmp_path)).parts["train"]) == 2


def test_links_that_lead_nowhere_and_round(tmp_path: Path) -> None:
    make(tmp_path, [str(number) for number in range(8)])
    (tmp_path / "images" / "again").symlink_to(tmp_path / "images", target_is_directory=True)
    assert sum(map(len, list_folder(card(tmp_path)).parts.values())) == 8
    image = tmp_path / "images" / "3.jpg"
    image.unlink()
    for target in (image, tmp_path / "nothing.jpg"):
        image.symlink_to(target)
        with pytest.raises(DataError, match=r"3\.jpg cannot be read: "):
            load_splits(card(tmp_path, width=16, height=12))
        image.unlink()


def test_noise_as_an_image(tmp_path: Path) -> None:
    """Damage at every place of a small file: a picture, or one sentence."""
    good = tmp_path / "good.png"
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(good)
    raw = good.read_bytes()
    for place in range(len(raw)):
        path = tmp_path / "bad.png"
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 0x5A]) + raw[place + 1 :])
        with suppress(DataError):
            decode(Pair(image=path, label=path), (8, 8), CODING, resize=True)
