"""Data sets that are arrays already: three `.npz` files."""

from pathlib import Path
from typing import final

import numpy as np
import torch

from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Splits
from evo_qnas.data.images import Images
from evo_qnas.data.sources import DataSource
from evo_qnas.errors import DataError
from evo_qnas.reading import read_arrays

# Every class has a name, a row of logits and a row of counts: ImageNet's largest set has 21,841.
_MOST_CLASSES = 65_536
# Normalised pixels lie around 0 with a deviation of about 1; raw ones of 16 bits end at 65,535.
_LARGEST_PIXEL = 1e6


def load_arrays_splits(folder: Path | None) -> Splits:
    """The parts in `train.npz`, `search.npz` and `test.npz` of `folder`.

    Each holds `pixels` (n, channels, height, width) float32, normalised, and `labels` (n,) integers below 65,536.

    Raises:
        DataError: the folder or a file is missing or malformed.
    """
    if folder is None or not folder.is_dir():
        raise DataError(f"the data folder {folder} does not exist: set data.folder to the folder with train.npz")
    train, search, test = (_read_arrays(folder / f"{part}.npz") for part in ("train", "search", "test"))
    for part, images in (("search", search), ("test", test)):
        if images.pixels.shape[1:] != train.pixels.shape[1:]:
            raise DataError(
                f"{folder / part}.npz has images of {tuple(images.pixels.shape[1:])}, "
                f"train.npz of {tuple(train.pixels.shape[1:])}: all parts need one shape"
            )
    count = max(int(images.labels.max()) for images in (train, search, test)) + 1
    return Splits(train=train, search=search, test=test, classes=tuple(str(c) for c in range(count)))


def _read_arrays(path: Path) -> Images:
    """The images of one `.npz` file."""
    if not path.is_file():
        raise DataError(f"there is no data file {path}")
    arrays = read_arrays(path, ["pixels", "labels"], DataError)
    pixels, labels = arrays["pixels"], arrays["labels"]
    if pixels.ndim != 4 or labels.shape != pixels.shape[:1] or not pixels.size:
        raise DataError(
            f"{path} needs pixels (n, channels, height, width) and labels (n,), got {pixels.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise DataError(f"{path}: labels must be integers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= _MOST_CLASSES:
        raise DataError(
            f"{path}: labels must be from 0 to {_MOST_CLASSES - 1:,}, got {labels.min()} to {labels.max()}: number the "
            "classes without gaps"
        )
    if pixels.dtype.kind not in "fiub":
        raise DataError(f"{path}: pixels must be real numbers, got {pixels.dtype}")
    # NaN is no smaller than anything.
    if not -_LARGEST_PIXEL <= pixels.min() <= pixels.max() <= _LARGEST_PIXEL:
        raise DataError(
            f"{path}: pixels must be numbers within +-{_LARGEST_PIXEL:g}, normalised ones within about +-10"
        )
    return Images(
        pixels=torch.from_numpy(pixels.astype(np.float32, order="C")), labels=torch.from_numpy(labels.astype(np.int64))
    )


@final
class Arrays(DataSource):
    """Three `.npz` files."""

    about = "train.npz, search.npz and test.npz with normalised pixels and labels, in data.folder"
    keys = frozenset({"folder"})

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `load_arrays_splits`."""
        return load_arrays_splits(card.folder)
