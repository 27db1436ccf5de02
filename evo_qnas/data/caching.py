"""Decoded images as memory-mapped files: made once, by all cores, whole or absent, made anew when anything changed."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

import joblib
import numpy as np
from jaxtyping import UInt8
from joblib.externals.loky.process_executor import BrokenProcessPool

from evo_qnas.errors import DataError, FileError
from evo_qnas.files import replacing, reserve
from evo_qnas.jobs import watched_workers
from evo_qnas.progress import progress_bar

logger = logging.getLogger(__name__)

Item = tuple[UInt8[np.ndarray, "3 h w"], UInt8[np.ndarray, "*label"]]
Arrays = tuple[UInt8[np.ndarray, "n 3 h w"], UInt8[np.ndarray, "n *label"]]
Source = TypeVar("Source")

# Images a job: few enough for the bar to move and the first to judge the rest by.
_CHUNK = 16
# Worker processes that import torch are to be repaid by what they save.
_STARTING_SECONDS = 10.0
# A file that nobody has written to for an hour belongs to no process that lives.
_STALE_SECONDS = 3600.0


def make_arrays(
    make: Callable[[Source], Item],
    sources: Sequence[Source],
    size: tuple[int, int],
    *,
    label_shape: tuple[int, ...] | None = None,
    cache: Path | None,
    name: str,
    label: str,
    jobs: int = 1,
) -> Arrays:
    """Pixels and labels of images: from the cache where they are in it, else made and put there.

    Args:
        make: gives an image from its source; must be picklable, and is called in worker processes.
        sources: what each image is made from. A worker is sent those of its images alone, so that what is sent for each
            does not grow with their number.
        size: (height, width).
        label_shape: of an image's label; that of the image where None.
        cache: folder of the memory-mapped files; None keeps the arrays in memory and writes nothing.
        name: of the two files, `<name>.pixels.npy` and `<name>.labels.npy`; must name all that the images depend on.
        label: what the progress bar says.
        jobs: worker processes.

    Raises:
        DataError: `make` raised it, or the disk has not enough space.
    """
    shapes = ((len(sources), 3, *size), (len(sources), *(size if label_shape is None else label_shape)))
    if cache is None:
        arrays = np.empty(shapes[0], dtype=np.uint8), np.empty(shapes[1], dtype=np.uint8)
        _fill(make, sources, jobs=jobs, label=label, arrays=arrays)
        return arrays
    paths = cache / f"{name}.pixels.npy", cache / f"{name}.labels.npy"
    _sweep(cache)
    there = [_mapped(path, shape) for path, shape in zip(paths, shapes, strict=True)]
    if there[0] is not None and there[1] is not None:
        return there[0], there[1]
    with ExitStack() as both:
        asides = [both.enter_context(replacing(path)) for path in paths]
        for aside, shape in zip(asides, shapes, strict=True):
            _reserve(aside, shape)
        _fill(make, sources, jobs=jobs, label=label, files=(asides[0], asides[1]))
    return np.load(paths[0], mmap_mode="c"), np.load(paths[1], mmap_mode="c")


def _fill(
    make: Callable[[Source], Item],
    sources: Sequence[Source],
    *,
    jobs: int,
    label: str,
    arrays: Arrays | None = None,
    files: tuple[Path, Path] | None = None,
) -> None:
    """Makes all images in chunks and puts them into arrays, or into files of arrays.

    The first chunk shows whether the rest takes long enough for worker processes to pay, which import torch first.
    """
    chunks = [range(start, min(start + _CHUNK, len(sources))) for start in range(0, len(sources), _CHUNK)]
    began = time.monotonic()
    with progress_bar(label, len(sources)) as advance:

        def of(chunk: range) -> Sequence[Source]:
            return sources[chunk.start : chunk.stop]

        def put(chunk: range, made: list[np.ndarray]) -> None:
            for target, part in zip(arrays or (), made, strict=True):
                target[chunk.start : chunk.stop] = part
            advance(len(chunk))

        put(*_chunk(make, of(chunks[0]), chunks[0], files))
        worth_it = (time.monotonic() - began) * (len(chunks) - 1) > _STARTING_SECONDS * jobs / max(1, jobs - 1)
        left = {chunk.start: chunk for chunk in chunks[1:]}
        calls = (joblib.delayed(_chunk)(make, of(chunk), chunk, files) for chunk in chunks[1:])
        try:
            for done in joblib.Parallel(
                n_jobs=jobs if worth_it else 1, return_as="generator_unordered", **watched_workers()
            )(calls):
                put(*done)
                del left[done[0].start]
        except BrokenProcessPool:
            logger.warning("a worker process died (no memory left?) while images were decoded: they are decoded in one")
            for chunk in left.values():
                put(*_chunk(make, of(chunk), chunk, files))


def _chunk(
    make: Callable[[Source], Item], sources: Sequence[Source], chunk: range, files: tuple[Path, Path] | None
) -> tuple[range, list[np.ndarray]]:
    """Makes some of the images; gives them where no files are to be filled."""
    made = [np.stack(parts) for parts in zip(*(make(source) for source in sources), strict=True)]
    if files is None:
        return chunk, made
    for path, part in zip(files, made, strict=True):
        np.load(path, mmap_mode="r+")[chunk.start : chunk.stop] = part
    return chunk, []


def _mapped(path: Path, shape: tuple[int, ...]) -> UInt8[np.ndarray, "..."] | None:
    """The array of a cache file, None where there is none or it is damaged."""
    try:
        array = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """An empty array file with its space on the disk: writing to a mapped file on a full disk would end the process."""
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    length = path.stat().st_size
    try:
        reserve(path, length)
    except FileError as error:
        raise DataError(
            f"decoded images need {length / 1e9:.1f} GB in {path.parent}: {error.strerror}; set data.cache to "
            "a folder on another disk, or make data.height and data.width smaller"
        ) from error


def _sweep(cache: Path) -> None:
    """Removes what a killed process left half-written, once nobody has written to it for an hour.

    Its process may live where the clock has jumped.
    """
    for path in cache.glob(".*.npy.*.part"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS and not _lives(path.name.split(".")[-2]):
                path.unlink()


def _lives(number: str) -> bool:
    """True where a process of this machine has the number."""
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
