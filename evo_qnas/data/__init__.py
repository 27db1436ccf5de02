"""Images and labels.

- `Images`, `Splits`: the values.
- `load_splits`: a data set by name.
- `digits`: scikit-learn's handwritten digits.
- `augment`, `Augmentation`: random flips, scales, crops and colours of labelled images.
"""

from evo_qnas.data.augment import IGNORE, Augmentation, augment
from evo_qnas.data.images import Images, Splits
from evo_qnas.data.loading import load_splits

__all__ = ["IGNORE", "Augmentation", "Images", "Splits", "augment", "load_splits"]
