"""Images and labels.

- `Images`, `Splits`: the values.
- `load_splits`: a data set by name.
- `digits`: scikit-learn's handwritten digits.
- `augment`, `Augmentation`: random flips, scales, crops and colours of labelled images.
- `confusion`, `iou_per_class`, `mean_iou`: how right predicted label maps are.
"""

from evo_qnas.data.augment import IGNORE, Augmentation, augment
from evo_qnas.data.images import Images, Splits
from evo_qnas.data.loading import load_splits
from evo_qnas.data.miou import confusion, iou_per_class, mean_iou

__all__ = [
    "IGNORE",
    "Augmentation",
    "Images",
    "Splits",
    "augment",
    "confusion",
    "iou_per_class",
    "load_splits",
    "mean_iou",
]
