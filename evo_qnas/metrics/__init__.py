"""Metrics: what is said of each example, and how that becomes one number.

- `Metric`, `per_example`: the value, and one of a function of yours.
- `accuracy`, `top_k`, `f1`: classes and labels.
- `mean_iou`: a class a position.
- `mean_absolute_error`, `root_mean_squared_error`: numbers of any shape.
- `mean_average_precision`, `Boxes`: boxes in images.

Any function `metric(predict, data) -> float` is a metric as well; one that gives a number for each example, an array of
`len(data)`, has a standard error too.
"""

from evo_qnas.metrics.boxes import Boxes, mean_average_precision
from evo_qnas.metrics.classes import accuracy, f1, mean_iou, top_k
from evo_qnas.metrics.metric import Metric, per_example
from evo_qnas.metrics.numbers import mean_absolute_error, root_mean_squared_error

__all__ = [
    "Boxes",
    "Metric",
    "accuracy",
    "f1",
    "mean_absolute_error",
    "mean_average_precision",
    "mean_iou",
    "per_example",
    "root_mean_squared_error",
    "top_k",
]
