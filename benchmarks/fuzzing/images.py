"""Readers of images, label images, and folders of them."""

import io
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any, final

import numpy as np
from PIL import Image

from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.values import Rng, any_of, damaged_bytes, damaged_text
from evo_qnas.data import load_splits
from evo_qnas.data.card import DataCard
from evo_qnas.data.decoding import decode, size_of
from evo_qnas.data.listing import LabelCoding, Pair

SIZE = (12, 16)
CODING = LabelCoding(names=("a", "b", "c"), codes=((0, 0), (1, 1), (2, 2), (255, 255)))
COLOURS = LabelCoding(names=("a", "b"), codes=((0, 0), (0xFF0000, 1)), colours=True)
IMAGES = {
    "png": ("L", "LA", "RGB", "RGBA", "P", "1", "I;16"),
    "jpg": ("L", "RGB", "CMYK"),
    "bmp": ("L", "RGB", "P", "1"),
    "ppm": ("RGB",),
    "tif": ("L", "RGB", "P", "F", "I;16", "CMYK"),
    "webp": ("RGB", "RGBA"),
}
LABELS = {"png": ("L", "P", "RGB", "I;16", "1"), "bmp": ("L", "P"), "tif": ("L", "I;16"), "gif": ("P",), "pgm": ("L",)}


def encoded(ending: str, mode: str, values: np.ndarray, rng: Rng) -> bytes:
    """An image file of a kind and mode."""
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "tif": "TIFF", "ppm": "PPM", "pgm": "PPM"}.get(ending, ending.upper())
    grey = Image.fromarray(values)
    image = grey if mode == "L" else _in_mode(grey, mode)
    options: dict[str, Any] = {}
    if ending == "tif":
        options["compression"] = any_of((None, "tiff_lzw", "tiff_adobe_deflate", "packbits"), rng)
    image.save(file, kind, **options)
    return file.getvalue()


def _in_mode(grey: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(grey).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(np.asarray(grey).astype(np.float32))
    return grey.convert("RGB").convert(mode) if mode in {"CMYK", "LA", "RGBA"} else grey.convert(mode)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def damaged_png(raw: bytes, rng: Rng) -> bytes:
    """A PNG with a chunk changed, doubled, dropped or put in, and right checksums."""
    chunks, at = [], 8
    while at + 8 <= len(raw):
        length = struct.unpack(">I", raw[at : at + 4])[0]
        chunks.append((raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]))
        at += 12 + length
    place = int(rng.integers(len(chunks)))
    kind, data = chunks[place]
    how = int(rng.integers(6))
    if how == 0:
        head = bytearray(chunks[0][1])
        head[0:8] = struct.pack(">II", *(int(any_of((0, 1, 8, 16, 4000, 30_000, 2**31, 2**32 - 1), rng)) for _ in "ab"))
        chunks[0] = (b"IHDR", bytes(head))
    elif how == 1:
        head = bytearray(chunks[0][1])
        head[int(rng.integers(8, 13))] = int(any_of((0, 1, 2, 3, 4, 6, 7, 16, 255), rng))
        chunks[0] = (b"IHDR", bytes(head))
    elif how == 2:
        chunks[place] = (kind, damaged_bytes(data, rng))
    elif how == 3:
        chunks.insert(place, chunks[int(rng.integers(len(chunks)))])
    elif how == 4:
        bomb = zlib.compress(bytes(30_000_000), 1)
        odd = any_of((b"zTXt", b"iCCP", b"tEXt", b"tRNS", b"PLTE", b"acTL", b"eXIf", b"gAMA"), rng)
        chunks.insert(min(1, place), (odd, b"a\0\0" + bomb if rng.random() < 0.5 else rng.bytes(9)))
    else:
        del chunks[place]
    return raw[:8] + b"".join(_chunk(*chunk) for chunk in chunks)


def damaged_image(raw: bytes, ending: str, rng: Rng) -> bytes:
    return damaged_png(raw, rng) if ending == "png" and rng.random() < 0.6 else damaged_bytes(raw, rng)


def _labels(rng: Rng) -> np.ndarray:
    return rng.integers(0, 3, size=SIZE).astype(np.uint8)


class ImageFiles(Reader):
    """One image and its label image."""

    every = 0

    def make_good(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        (folder / "image.png").write_bytes(encoded("png", "RGB", rng.integers(0, 255, SIZE).astype(np.uint8), rng))
        (folder / "label.png").write_bytes(encoded("png", "L", _labels(rng), rng))

    def read(self, case: Path) -> None:
        image, label = (next(case.glob(f"{name}.*")) for name in ("image", "label"))
        for coding in (CODING, COLOURS) if case.name.endswith("0") else (CODING,):
            size_of(image)
            decode(Pair(image=image, label=label), (8, 8), coding, resize=True)


@final
class Images(ImageFiles):
    """Damaged images."""

    name = "images"

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        ending = any_of(IMAGES, rng)
        mode = any_of(IMAGES[ending], rng)
        raw = encoded(ending, mode, rng.integers(0, 255, SIZE).astype(np.uint8), rng)
        (case / f"image.{ending}").write_bytes(damaged_image(raw, ending, rng))
        shutil.copy(good / "label.png", case)
        return f"{ending} {mode}"


@final
class Labels(ImageFiles):
    """Damaged label images."""

    name = "labels"

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        ending = any_of(LABELS, rng)
        mode = any_of(LABELS[ending], rng)
        raw = encoded(ending, mode, _labels(rng), rng)
        (case / f"label.{ending}").write_bytes(damaged_image(raw, ending, rng) if rng.random() < 0.8 else raw)
        shutil.copy(good / "image.png", case)
        return f"{ending} {mode}"


@final
class Folders(Reader):
    """A folder of images and label images, with lists of parts, odd names and links."""

    name = "folder"
    every = 0

    def make_good(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        for name in ("images", "labels"):
            (folder / name).mkdir()
        for index in range(8):
            (folder / "images" / f"i{index}.png").write_bytes(
                encoded("png", "RGB", rng.integers(0, 255, SIZE).astype(np.uint8), rng)
            )
            (folder / "labels" / f"i{index}.png").write_bytes(encoded("png", "L", _labels(rng), rng))

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        shutil.copytree(good, case, dirs_exist_ok=True)
        chosen = case / any_of(("images", "labels"), rng) / f"i{int(rng.integers(8))}.png"
        lists = {"train": "i0\ni1\ni2.png\ni3\n", "val": "i4\ni5\n", "test": "# the rest\ni6\ni7\n"}
        how = int(rng.integers(6))
        if how <= 1:
            for part, text in lists.items():
                (case / f"{part}.txt").write_text(text, encoding="utf-8")
            part = any_of(lists, rng)
            (case / f"{part}.txt").write_bytes(damaged_text(lists[part], rng))
            return "list"
        if how == 2:
            chosen.rename(
                chosen.with_name(any_of(("\x1b[2J.png", "a\nb.png", "caf\udce9.png", "x" * 240 + ".png"), rng))
            )
            return "name"
        if how == 3:
            chosen.unlink()
            chosen.symlink_to(any_of((chosen, "/dev/zero", "/dev/null", "/proc/self/mem", case, "nowhere", "/"), rng))
            return "link"
        if how == 4:
            (case / "images" / "again").symlink_to(any_of((case, case / "images", "/proc/self"), rng))
            return "folder link"
        chosen.write_bytes(damaged_image(chosen.read_bytes(), "png", rng))
        return "image"

    def read(self, case: Path) -> None:
        card = DataCard.model_validate({"name": "folder", "folder": case, "classes": ["a", "b", "c"]})
        load_splits(card, cache=case / "cache" if case.name.endswith("0") else None, jobs=1)


IMAGE_READERS: tuple[Reader, ...] = (Images(), Labels(), Folders())
