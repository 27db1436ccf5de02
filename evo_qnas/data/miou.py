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
    return _iou(matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0))


def mean_iou(matrix: Int[torch.Tensor, "classes classes"]) -> float:
    """The mean of `iou_per_class`, 0..1, classes without any pixel left out.

    Source: Everingham et al. 2015, The PASCAL VOC Challenge: A Retrospective, section 4.1; Cityscapes counts likewise.

    Raises:
        DataError: the matrix counts no pixel.
    """
    return mean_of_iou(matrix.diagonal(), matrix.sum(dim=1), matrix.sum(dim=0))


def mean_of_iou(
    hits: Int[torch.Tensor, " classes"],
    labelled: Int[torch.Tensor, " classes"],
    predicted: Int[torch.Tensor, " classes"],
) -> float:
    """`mean_iou` from pixels per class that are right, that are labelled so and that are predicted so.

    Raises:
        DataError: no pixel is labelled.
    """
    if not int(labelled.sum()):
        raise DataError("the mean IoU needs at least one labelled pixel: all labels of the split are ignored")
    return float(_iou(hits, labelled, predicted).nanmean())


def _iou(
    hits: Int[torch.Tensor, " classes"],
    labelled: Int[torch.Tensor, " classes"],
    predicted: Int[torch.Tensor, " classes"],
) -> Float[torch.Tensor, " classes"]:
    return hits.double() / (predicted + labelled - hits)
