"""Metrics of classes and labels."""

from functools import partial

import torch
from jaxtyping import Bool, Float, Int, Num

from evo_qnas.data import IGNORE, confusion
from evo_qnas.data.miou import mean_of_iou
from evo_qnas.metrics.metric import Metric, share_of

# What losses of torch leave out unless they are told otherwise.
_LEFT_OUT = -100


def class_axis(outputs: Float[torch.Tensor, "n ..."], targets: Int[torch.Tensor, "n *positions"]) -> int:
    """The axis of classes in logits for these labels: the second, as in maps, or the last, as in tokens.

    Example:
        >>> class_axis(torch.zeros(2, 7, 5), torch.zeros(2, 7, dtype=torch.int64))
        2
    """
    return 1 if tuple(outputs.shape[2:]) == tuple(targets.shape[1:]) else outputs.ndim - 1


def _right(
    outputs: Float[torch.Tensor, "n ..."], targets: Int[torch.Tensor, "n *positions"], k: int, ignore: int
) -> Int[torch.Tensor, "n *two"]:
    """1 where the label is among the k largest logits; of several positions how many are, and how many are labelled."""
    axis = class_axis(outputs, targets)
    largest = outputs.argmax(axis, keepdim=True) if k == 1 else outputs.topk(k, dim=axis).indices
    hit = (largest == targets.unsqueeze(axis)).any(dim=axis)
    if targets.ndim == 1:
        return hit.int()
    known = targets != ignore
    return torch.stack([(hit & known).flatten(1).sum(dim=1), known.flatten(1).sum(dim=1)], dim=1).int()


def top_k(k: int, *, ignore: int = _LEFT_OUT) -> Metric:
    """Share of the labels that are among the k largest logits.

    Args:
        k: how many.
        ignore: label that counts nowhere, where there are several labels an example.
    """
    name = "accuracy" if k == 1 else f"top-{k} accuracy"
    return Metric(name=name, each=partial(_right, k=k, ignore=ignore), reduce=share_of, unit="%", logits=True)


accuracy = top_k(1)


def _positions(
    outputs: Float[torch.Tensor, "n classes *map"], targets: Int[torch.Tensor, "n *positions"], ignore: int
) -> Int[torch.Tensor, "n classes 3"]:
    """Positions of each class: right, labelled so, predicted so."""
    predicted = _resized(outputs, tuple(targets.shape[1:])).argmax(dim=1)
    labels = torch.where(targets == ignore, IGNORE, targets)
    found = []
    for row in range(len(labels)):
        counts = confusion(predicted[row : row + 1], labels[row : row + 1], outputs.shape[1])
        found.append(torch.stack([counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0)], dim=1).int())
    return torch.stack(found)


def _resized(
    outputs: Float[torch.Tensor, "n classes *map"], size: tuple[int, ...]
) -> Float[torch.Tensor, "n classes *sized"]:
    if tuple(outputs.shape[2:]) == size:
        return outputs
    return torch.nn.functional.interpolate(outputs, size=list(size), mode="bilinear", align_corners=False)


def _mean_of_counts(outcomes: Int[torch.Tensor, "n classes 3"]) -> float:
    return mean_of_iou(*outcomes.long().sum(dim=0).unbind(dim=1))


def mean_iou(*, ignore: int = IGNORE) -> Metric:
    """Mean over classes of the intersection over union of predicted and labelled positions; logits are up-sampled.

    Args:
        ignore: label that counts nowhere.
    """
    return Metric(name="mIoU", each=partial(_positions, ignore=ignore), reduce=_mean_of_counts, unit="%", logits=True)


def _labels(
    outputs: Float[torch.Tensor, "n labels"],
    targets: Num[torch.Tensor, "n labels"] | Bool[torch.Tensor, "n labels"],
    threshold: float,
) -> Int[torch.Tensor, "n labels 3"]:
    """Of each label: both, said alone, true alone."""
    said, true = outputs > threshold, targets > 0.5
    return torch.stack([said & true, said & ~true, ~said & true], dim=-1).int()


def _f1(outcomes: Int[torch.Tensor, "n labels 3"], average: str) -> float:
    counts = outcomes.double().sum(dim=0)
    both, said, true = (counts.sum(dim=0) if average == "micro" else counts).unbind(dim=-1)
    whole = 2.0 * both + said + true
    scores = torch.where(whole > 0.0, 2.0 * both / whole.clamp_min(1.0), torch.ones_like(whole))
    return float(scores.mean())


def f1(*, threshold: float = 0.0, average: str = "micro") -> Metric:
    """F1 of several labels an example: harmonic mean of precision and recall.

    Args:
        threshold: outputs above it say the label; 0 for logits, 0.5 for probabilities.
        average: `micro` counts all labels together, `macro` takes the mean of the labels' own.

    Source: van Rijsbergen 1979; a label that is neither said nor true counts as 1.
    """
    if average not in {"micro", "macro"}:
        raise ValueError(f"average = {average!r}: choose micro or macro")
    return Metric(
        name=f"F1 ({average})",
        each=partial(_labels, threshold=threshold),
        reduce=partial(_f1, average=average),
        unit="%",
    )
