"""Data sets that are arrays already: three `.npz` files."""

from pathlib import Path
from typing import final

import numpy as np
import torch

from evo_qnas.data.card import DataCard
from evo_qnas.data.images import Images, Splits
from evo_qnas.data.sources import DataSource
from evo_qnas.errors import DataError


def load_arrays_splits(folder: Path | None) -> Splits:
    """The parts in `train.npz`, `search.npz` and `test.npz` of `folder`.

    Each holds `pixels` (n, channels, height, width) float32, normalised, and `labels` (n,) integers.

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
    count = int(train.labels.max()) + 1
    return Splits(train=train, search=search, test=test, classes=tuple(str(c) for c in range(count)))


def _read_arrays(path: Path) -> Images:
    """The images of one `.npz` file."""
    if not path.is_file():
        raise DataError(f"there is no data file {path}")
    try:
        with np.load(path, allow_pickle=False) as file:
            pixels, labels = file["pixels"], file["labels"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read as arrays 'pixels' and 'labels': {error}") from error
    if pixels.ndim != 4 or labels.shape != pixels.shape[:1] or not len(labels):
        raise DataError(
            f"{path} needs pixels (n, channels, height, width) and labels (n,), got {pixels.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(f"{path}: labels must be integers from 0, got {labels.dtype} from {labels.min()}")
    if not np.isfinite(pixels).all():
        raise DataError(f"{path}: pixels must be finite")
    return Images(pixels=torch.from_numpy(pixels.astype(np.float32)), labels=torch.from_numpy(labels.astype(np.int64)))


@final
class Arrays(DataSource):
    """Three `.npz` files."""

    about = "train.npz, search.npz and test.npz with normalised pixels and labels, in data.folder"
    keys = frozenset({"folder"})

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `load_arrays_splits`."""
        return load_arrays_splits(card.folder)
