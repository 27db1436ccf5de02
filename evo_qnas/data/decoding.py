"""Image and label files to arrays of one size; every way in which a file can be odd is an error of one sentence."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from evo_qnas.data.listing import LabelCoding, Pair
from evo_qnas.errors import DataError

Size = tuple[int, int]
# What Pillow raises on damaged files, and on those of more pixels than any photograph (about 89 million).
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError, RuntimeError),
    *(LookupError, TypeError, ArithmeticError, AttributeError, AssertionError),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)
_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def size_of(path: Path) -> Size:
    """(height, width) of an image file, from its head alone.

    Raises:
        DataError: the file cannot be read as an image.
    """
    try:
        with _bounded(), Image.open(path) as image:
            return image.height, image.width
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def decode(
    pair: Pair, size: Size, coding: LabelCoding, *, resize: bool
) -> tuple[UInt8[np.ndarray, "3 h w"], UInt8[np.ndarray, "h w"]]:
    """Red, green and blue of the image, and class or `IGNORE` of each pixel.

    Args:
        pair: the two files.
        size: (height, width) of what comes out.
        coding: what label values stand for.
        resize: bring images to `size` (averaging bilinear; labels the nearest); else another size is an error.

    Raises:
        DataError: a file cannot be read, the sizes differ, or the label image has another mode or a value of no class.
    """
    image, label = _opened(pair.image), _opened(pair.label)
    if image.size != label.size:
        raise DataError(f"image {pair.image} is {_shown(image)}, its label {pair.label.name} {_shown(label)}")
    _check_size(image, pair.image, size, resize=resize)
    try:
        values = _values(label, pair.label, coding, size)
    except DataError:
        raise
    except _BROKEN as error:
        raise _unreadable(pair.label, error) from error
    return _colours(image, pair.image, size), _classes(values, pair.label, coding)


def decode_image(path: Path, size: Size, *, resize: bool) -> UInt8[np.ndarray, "3 h w"]:
    """Red, green and blue of an image file.

    Args:
        path: the file.
        size: (height, width) of what comes out.
        resize: bring the image to `size`; else another size is an error.

    Raises:
        DataError: the file cannot be read, or has another size.
    """
    image = _opened(path)
    _check_size(image, path, size, resize=resize)
    return _colours(image, path, size)


def _check_size(image: Image.Image, path: Path, size: Size, *, resize: bool) -> None:
    if not resize and (image.height, image.width) != size:
        raise DataError(
            f"image {path} is {_shown(image)}, others are {size[1]} x {size[0]}: set data.width and data.height, "
            "and all are brought to that size"
        )


def _colours(image: Image.Image, path: Path, size: Size) -> UInt8[np.ndarray, "3 h w"]:
    if image.mode in _DEEP:
        raise DataError(f"image {path} has the mode {image.mode}: convert it to 8 bits a channel")
    try:
        colours = image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR)
    except _BROKEN as error:
        raise _unreadable(path, error) from error
    return np.ascontiguousarray(np.asarray(colours).transpose(2, 0, 1))


@contextmanager
def _bounded() -> Iterator[None]:
    """Images of more pixels than Pillow deems sane are errors, not warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _opened(path: Path) -> Image.Image:
    """The wholly decoded image of a file."""
    try:
        with _bounded(), Image.open(path) as image:
            image.load()
            return image
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> DataError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{path} cannot be read as an image: {text.replace(repr(str(path)), 'it')}")


def _shown(image: Image.Image) -> str:
    return f"{image.width} x {image.height}"


def _values(label: Image.Image, path: Path, coding: LabelCoding, size: Size) -> Int[np.ndarray, "h w"]:
    """One whole number per pixel at the target size: the value, or the packed colour."""
    if coding.colours:
        if label.mode not in {"RGB", "RGBA", "P"}:
            raise DataError(f"label image {path} has the mode {label.mode}, the classes have colours: give them values")
        colours = np.asarray(label.convert("RGB").resize(size[::-1], Image.Resampling.NEAREST), dtype=np.int32)
        return (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]
    if label.mode not in {"L", "P", "1", "I", "I;16", "I;16L", "I;16B"}:
        raise DataError(
            f"label image {path} has the mode {label.mode}, one value a pixel is wanted: convert it, "
            "or use data.name = 'folder' with colours in data.classes"
        )
    return np.asarray(label.resize(size[::-1], Image.Resampling.NEAREST)).astype(np.int32)


def _classes(values: Int[np.ndarray, "h w"], path: Path, coding: LabelCoding) -> UInt8[np.ndarray, "h w"]:
    """Class or `IGNORE` for each value.

    Raises:
        DataError: a value is in no class.
    """
    classes = np.zeros(values.shape, dtype=np.uint8)
    known = np.zeros(values.shape, dtype=np.bool_)
    for code, target in coding.codes:
        here = values == code
        known |= here
        classes[here] = target
    if known.all():
        return classes
    row, column = np.argwhere(~known)[0]
    code = int(values[row, column])
    shown = f"colour ({code >> 16}, {code >> 8 & 255}, {code & 255})" if coding.colours else f"value {code}"
    key = "data.ignore_colours" if coding.colours else "data.ignore"
    raise DataError(
        f"label image {path} has the {shown}, which is none of the {len(coding.names)} classes and is not ignored: "
        f"add it to data.classes or {key}"
    )
