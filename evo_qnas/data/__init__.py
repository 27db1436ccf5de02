"""Images and labels.

- `Images`, `Splits`: the values.
- `load_splits`: a data set by name.
- `digits`: scikit-learn's handwritten digits.
"""

from evo_qnas.data.images import Images, Splits
from evo_qnas.data.loading import load_splits

__all__ = ["Images", "Splits", "load_splits"]
