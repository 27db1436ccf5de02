"""Examples: images with labels, and whatever else models take.

- `Examples`, `Splits`: the one interface of data, and its three parts; `nests`: what examples are made of.
- `Images`, `IGNORE`, `class_frequencies`: labelled images.
- `load_splits`, `DataCard`: a data set by name, at a size, with classes and splits.
- `DataSource`, `DATA_SOURCES`, `DATASETS`: the interface of data sets, those there are, one line about each.
- `digits`, `arrays`, `camvid`, `cityscapes`, `folder`, `streets`: one data set each.
- `card`, `listing`, `decoding`, `caching`, `files`: from the card to files, to arrays, to memory-mapped arrays.
- `augment`, `Augmentation`: random flips, scales, crops and colours of labelled images; `batches`: their order.
- `confusion`, `iou_per_class`, `mean_iou`: counts and quality of predicted label maps.
"""

from evo_qnas.data.augment import Augmentation, augment
from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Examples, Splits
from evo_qnas.data.images import IGNORE, Images, class_frequencies
from evo_qnas.data.loading import load_splits
from evo_qnas.data.miou import confusion, iou_per_class, mean_iou
from evo_qnas.data.sources import DATA_SOURCES, DATASETS, DataSource

__all__ = [
    "DATASETS",
    "DATA_SOURCES",
    "IGNORE",
    "Augmentation",
    "DataCard",
    "DataSource",
    "Examples",
    "Images",
    "Splits",
    "augment",
    "class_frequencies",
    "confusion",
    "iou_per_class",
    "load_splits",
    "mean_iou",
]
