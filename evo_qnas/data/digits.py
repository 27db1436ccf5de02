"""The 1,797 handwritten digits of 8 x 8 pixels that ship with scikit-learn."""

from pathlib import Path
from typing import final

import numpy as np
import torch

from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Splits
from evo_qnas.data.images import Images
from evo_qnas.data.listing import SPLIT_KEYS
from evo_qnas.data.sources import DataSource

# Of all pixels 0..16 of the set.
_MEAN, _STD = 4.8842, 6.0168


def load_digits_splits(*, search_share: float, test_share: float, seed: int) -> Splits:
    """Train, search and test part of the digits, each with the same share of every class.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI 1998, as in scikit-learn.
    Pixels 0..16 are normalised by the whole set's mean and deviation (constants, so that no split looks at another).

    Args:
        search_share: share of the images that scores choices, 0..1.
        test_share: share of the images for final validation, 0..1.
        seed: decides which image goes where.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw, labels = load_digits(return_X_y=True)
    rest, test = train_test_split(np.arange(len(labels)), test_size=test_share, stratify=labels, random_state=seed)
    share = search_share / (1.0 - test_share)
    train, search = train_test_split(rest, test_size=share, stratify=labels[rest], random_state=seed)
    pixels = torch.from_numpy(((raw.reshape(-1, 1, 8, 8) - _MEAN) / _STD).astype(np.float32))
    targets = torch.from_numpy(labels.astype(np.int64))
    parts = [Images(pixels=pixels[np.sort(part)], labels=targets[np.sort(part)]) for part in (train, search, test)]
    classes = tuple(str(digit) for digit in range(10))
    shape = {"layout": "NCHW", "channels": "grey, 0..16", "size": [8, 8]}
    facts = {"divide": 1.0, "mean": [_MEAN], "std": [_STD], **shape}
    return Splits(train=parts[0], search=parts[1], test=parts[2], classes=classes, preprocessing=facts)


@final
class Digits(DataSource):
    """The digits of scikit-learn."""

    about = "1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn; 10 classes"
    keys = SPLIT_KEYS | {"test_share"}

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `load_digits_splits`."""
        return load_digits_splits(search_share=card.search_share, test_share=card.test_share, seed=card.split_seed)
