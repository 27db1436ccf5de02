"""Images and labels.

- `Images`, `Splits`, `IGNORE`, `class_frequencies`: the values.
- `load_splits`, `DATASETS`, `DataCard`: a data set by name, at a size, with classes and splits.
- `digits`, `arrays`, `camvid`, `cityscapes`, `folder`, `streets`: one data set each.
- `card`, `listing`, `decoding`, `caching`, `files`: from the card to files, to arrays, to memory-mapped arrays.
- `augment`, `Augmentation`: random flips, scales, crops and colours of labelled images.
- `confusion`, `iou_per_class`, `mean_iou`: how right predicted label maps are.
"""

from evo_qnas.data.augment import Augmentation, augment
from evo_qnas.data.card import DataCard
from evo_qnas.data.images import IGNORE, Images, Splits, class_frequencies
from evo_qnas.data.loading import DATASETS, load_splits
from evo_qnas.data.miou import confusion, iou_per_class, mean_iou

__all__ = [
    "DATASETS",
    "IGNORE",
    "Augmentation",
    "DataCard",
    "Images",
    "Splits",
    "augment",
    "class_frequencies",
    "confusion",
    "iou_per_class",
    "load_splits",
    "mean_iou",
]
