"""Mean intersection over union, counted as the field does: one confusion matrix over all images of a split."""

import torch
from jaxtyping import Float, Int

from evo_qnas.errors import DataError


def confusion(
    predicted: Int[torch.Tensor, "*pixels"], labels: Int[torch.Tensor, "*pixels"], classes: int
) -> Int[torch.Tensor, "classes classes"]:
    """Counts of pixels by label (row) and prediction (column), int64; matrices of batches add up.

    Args:
        predicted: classes 0 .. classes - 1.
        labels: classes 0 .. classes - 1; pixels with a label from `classes` on, such as `IGNORE`, are left out.
        classes: how many there are.
    """
    pairs = labels.flatten().long() * classes + predicted.flatten()
    return torch.bincount(pairs, minlength=classes**2)[: classes**2].view(classes, classes)


def iou_per_class(matrix: Int[torch.Tensor, "classes classes"]) -> Float[torch.Tensor, " classes"]:
    """Intersection over union of each class, float64 in 0..1; NaN where neither labels nor predictions have it."""
    hits = matrix.diagonal().double()
    return hits / (matrix.sum(dim=0) + matrix.sum(dim=1) - matrix.diagonal())


def mean_iou(matrix: Int[torch.Tensor, "classes classes"]) -> float:
    """The mean of `iou_per_class`, 0..1, classes without any pixel left out.

    Source: Everingham et al. 2015, The PASCAL VOC Challenge: A Retrospective, section 4.1; Cityscapes counts likewise.

    Raises:
        DataError: the matrix counts no pixel.
    """
    if not int(matrix.sum()):
        raise DataError("the mean IoU needs at least one labelled pixel: all labels of the split are ignored")
    return float(iou_per_class(matrix).nanmean())
