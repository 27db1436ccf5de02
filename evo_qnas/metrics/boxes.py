"""Mean average precision of boxes in images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from evo_qnas.metrics.metric import Metric

# Recalls at which precision is read, as COCO does.
_RECALLS = np.linspace(0.0, 1.0, 101)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Boxes in one image.

    Attributes:
        corners: x0, y0, x1, y1.
        labels: class of each.
        scores: of detections, the larger the surer; of the truth they are not read.
    """

    corners: Float[torch.Tensor, "k 4"]
    labels: Int[torch.Tensor, " k"]
    scores: Float[torch.Tensor, " k"] | None = None


def overlaps(one: Float[torch.Tensor, "a 4"], other: Float[torch.Tensor, "b 4"]) -> Float[torch.Tensor, "a b"]:
    """Intersection over union of every pair of boxes.

    Example:
        >>> overlaps(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
        tensor([[0.3333]])
    """
    low, high = torch.maximum(one[:, None, :2], other[None, :, :2]), torch.minimum(one[:, None, 2:], other[None, :, 2:])
    shared = (high - low).clamp_min(0.0).prod(dim=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp_min(0.0).prod(dim=1) for boxes in (one, other)]
    whole = areas[0][:, None] + areas[1][None, :] - shared
    return torch.where(whole > 0.0, shared / whole, torch.zeros_like(whole))


def mean_average_precision(
    decode: Callable[[Any], Sequence[Boxes]],
    truth: Callable[[Any], Sequence[Boxes]],
    *,
    classes: int,
    iou: float | Sequence[float] = 0.5,
    most: int = 100,
) -> Metric:
    """Mean over classes, and over thresholds, of the area under precision at recall.

    Args:
        decode: detections of each image from the outputs of a batch.
        truth: boxes of each image from the targets of a batch.
        classes: number of classes.
        iou: overlap from which a detection is right, or several.
        most: surest detections of an image that count.

    Source: Lin et al. 2014, COCO, as its evaluation computes it for boxes of all sizes: each class apart, the surest
    detection first takes the box that it overlaps most of those still free; precision is read at 101 recalls, each time
    the best at this recall or a higher one; a class without boxes is left out.
    """
    thresholds = (float(iou),) if isinstance(iou, int | float) else tuple(map(float, iou))
    shown = f"{thresholds[0]:g}" if len(thresholds) == 1 else f"{thresholds[0]:g}..{thresholds[-1]:g}"
    return Metric(
        name=f"mAP@{shown}",
        each=partial(_outcomes, decode=decode, truth=truth, classes=classes, thresholds=thresholds, most=most),
        reduce=partial(_mean_precision, classes=classes),
        unit="%",
    )


def _outcomes(
    outputs: Any,
    targets: Any,
    *,
    decode: Callable[[Any], Sequence[Boxes]],
    truth: Callable[[Any], Sequence[Boxes]],
    classes: int,
    thresholds: tuple[float, ...],
    most: int,
) -> Float[torch.Tensor, "n rows columns"]:
    """Of each image `most` rows of detections (class, score, right at each threshold), then one of truths a class.

    Rows that are not used have the class -1.
    """
    pairs = list(zip(decode(outputs), truth(targets), strict=True))
    table = torch.full((len(pairs), most + classes, 2 + len(thresholds)), -1.0)
    for image, (found, true) in enumerate(pairs):
        scores = torch.ones(len(found.labels)) if found.scores is None else found.scores
        order = torch.argsort(scores, descending=True, stable=True)[:most]
        table[image, : len(order), 0] = found.labels[order].float()
        table[image, : len(order), 1] = scores[order].float()
        for column, threshold in enumerate(thresholds):
            right = _matched(found.corners[order], found.labels[order], true, threshold)
            table[image, : len(order), 2 + column] = right.float()
        table[image, most:, 0] = torch.arange(classes)
        table[image, most:, 1] = torch.bincount(true.labels.long(), minlength=classes)[:classes]
    return table


def _matched(
    corners: Float[torch.Tensor, "k 4"], labels: Int[torch.Tensor, " k"], true: Boxes, threshold: float
) -> Bool[torch.Tensor, " k"]:
    """True where a detection, the surest first, has a box of its class for itself."""
    right = torch.zeros(len(labels), dtype=torch.bool)
    free = torch.ones(len(true.labels), dtype=torch.bool)
    shared = overlaps(corners.float(), true.corners.float())
    for row in range(len(labels)):
        open_to = torch.where(free & (true.labels == labels[row]), shared[row], -1.0)
        if len(open_to) and float(open_to.max()) >= threshold:
            right[row] = True
            free[int(open_to.argmax())] = False
    return right


def _mean_precision(outcomes: Float[torch.Tensor, "n rows columns"], *, classes: int) -> float:
    rows = outcomes.double().numpy()
    detections, truths = rows[:, :-classes].reshape(-1, rows.shape[2]), rows[:, -classes:, 1].sum(axis=0)
    found = []
    for label in np.flatnonzero(truths > 0):
        mine = detections[detections[:, 0] == label]
        mine = mine[np.argsort(-mine[:, 1], kind="stable")]
        found += [_average_precision(mine[:, column], truths[label]) for column in range(2, rows.shape[2])]
    return float(np.mean(found)) if found else 0.0


def _average_precision(right: Float[np.ndarray, " k"], count: float) -> float:
    """Mean precision at 101 recalls of detections in the order of their scores."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / count, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[at].mean())
