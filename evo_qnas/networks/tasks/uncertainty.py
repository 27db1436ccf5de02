"""How far a metric, or the difference of two, may be off because the test images are a sample."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from evo_qnas.data import Images
from evo_qnas.data.miou import confusion, mean_of_iou
from evo_qnas.errors import NetworkError
from evo_qnas.networks.tasks.base import Task, evaluation_batch

_RESAMPLES = 200


@torch.no_grad()
def outcomes(task: Task, network: nn.Module, images: Images) -> Int[torch.Tensor, "images *counts"]:
    """What a network made of each image, int32: all that metrics, their errors and their differences need.

    For classification 1 where the label was found and 0 where not, (images,). For segmentation, per class, pixels that
    were found right, that are labelled so and that were taken for it, (images, classes, 3), ignored ones left out.

    Args:
        task: classification or segmentation.
        network: in evaluation mode.
        images: at least one.

    Raises:
        NetworkError: there is no image.
    """
    each = []
    for pixels, labels in images.parts(evaluation_batch(images.pixels)):
        logits = network(pixels)
        found = task.predict(logits, tuple(labels.shape[1:]))
        if task.name == "classification":
            each.append((found == labels).int())
            continue
        for row in range(len(labels)):
            counts = confusion(found[row : row + 1], labels[row : row + 1], logits.shape[1])
            each.append(torch.stack([counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0)], dim=1).int()[None])
    if not each:
        raise NetworkError("a metric needs at least one image")
    return torch.cat(each).cpu()


def metric_of(found: Int[torch.Tensor, "images *counts"]) -> float:
    """The metric of outcomes, accuracy or mIoU, 0..1: to the last bit what the task's own `metric` gives."""
    if found.ndim == 1:
        return int(found.sum()) / len(found)
    return mean_of_iou(*found.long().sum(dim=0).unbind(dim=1))


def metric_stderr(found: Int[torch.Tensor, "images *counts"], *, seed: int) -> float:
    """Standard error of `metric_of`: binomial for accuracy, for mIoU the spread over resampled images.

    Args:
        found: by `outcomes`.
        seed: of the 200 resamples.

    Source: Efron 1979, the bootstrap; images, not pixels, are resampled, as pixels of one image are alike.
    """
    if found.ndim == 1:
        share = metric_of(found)
        return float(np.sqrt(max(share * (1.0 - share), 0.25 / len(found)) / len(found)))
    return float(np.std(resampled(found, seed=seed), ddof=1))


def difference_stderr(
    one: Int[torch.Tensor, "images *counts"], other: Int[torch.Tensor, "others *numbers"], *, seed: int
) -> float:
    """Standard error of the difference of two networks' metrics on the same images, one image paired with itself.

    Networks err on the same images, so that their difference is surer than either metric. For accuracy the error of
    McNemar's test, for mIoU the spread of differences over resampled images.

    Args:
        one: by `outcomes`.
        other: of the same images in the same order.
        seed: of the 200 resamples.

    Raises:
        NetworkError: the outcomes are not of equally many images and classes.

    Source: McNemar 1947; Efron 1979.
    """
    if one.shape != other.shape:
        raise NetworkError(
            f"outcomes of other images or classes cannot be paired: {tuple(one.shape)} and {tuple(other.shape)}"
        )
    if one.ndim == 1:
        apart = (one - other).double()
        variance = float(apart.square().mean() - apart.mean().square())
        return float(np.sqrt(max(variance, 0.25 / len(one)) / len(one)))
    return float(np.std(resampled(one, seed=seed) - resampled(other, seed=seed), ddof=1))


def resampled(found: Int[torch.Tensor, "images *counts"], *, seed: int) -> Float[np.ndarray, " resamples"]:
    """The metric over 200 resamples of the images; equal seeds draw the same images for every network of one split.

    Args:
        found: by `outcomes`.
        seed: of the resamples.
    """
    rng = np.random.default_rng(seed)
    drawn = [torch.from_numpy(rng.integers(0, len(found), len(found))) for _ in range(_RESAMPLES)]
    return np.array([metric_of(found[rows]) for rows in drawn])
