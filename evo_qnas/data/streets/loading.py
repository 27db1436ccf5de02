"""Generated scenes as a data set, as many and as large as the card says."""

import functools
from pathlib import Path
from typing import final

import numpy as np
import torch

from evo_qnas.data.caching import Item, make_arrays
from evo_qnas.data.card import CountsCard, DataCard
from evo_qnas.data.cityscapes import CLASSES
from evo_qnas.data.examples import Splits
from evo_qnas.data.files import normalised_images
from evo_qnas.data.listing import PARTS
from evo_qnas.data.sources import DataSource
from evo_qnas.data.streets.scene import draw_scene

DEFAULT_SIZE = (64, 128)
DEFAULT_COUNTS = CountsCard(train=2000, search=300, test=400)
# Raised where the same seed draws another scene.
_VERSION = 1


def load_streets(card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
    """Generated street scenes with the 19 classes of Cityscapes.

    Scene i of a part depends on `split_seed`, the part, i and the size alone: it is the same on every machine, and more
    images leave the first ones as they are. Sizes from about 48 x 96 on show what they should.

    Args:
        card: size (64 x 128 by default), counts, seed, normalisation.
        cache: folder of the scenes once drawn; None keeps them in memory.
        jobs: processes that draw.
    """
    size = card.size or DEFAULT_SIZE
    counts = card.images or DEFAULT_COUNTS
    parts = {}
    for number, part in enumerate(PARTS):
        count: int = getattr(counts, part)
        make = functools.partial(_scene, (card.split_seed, number), size)
        name = f"streets{_VERSION}-{part}-seed{card.split_seed}-{count}x{size[0]}x{size[1]}"
        label = f"{part} scenes drawn"
        pixels, labels = make_arrays(make, range(count), size, cache=cache, name=name, label=label, jobs=jobs)
        parts[part] = normalised_images(card, torch.from_numpy(pixels), torch.from_numpy(labels))
    return Splits(train=parts["train"], search=parts["search"], test=parts["test"], classes=CLASSES)


def _scene(seed: tuple[int, int], size: tuple[int, int], index: int) -> Item:
    return draw_scene(np.random.Generator(np.random.PCG64([*seed, index])), size)


@final
class Streets(DataSource):
    """Generated street scenes."""

    about = "street scenes generated from a seed, the classes of Cityscapes; needs no files"
    keys = frozenset({"split_seed", "height", "width", "images", "mean", "std", "cache"})

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `load_streets`."""
        return load_streets(card, cache=cache, jobs=jobs)
