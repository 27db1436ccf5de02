"""What a network is for: its loss, its metric, and how its output meets labels."""

from abc import ABC, abstractmethod
from typing import final

import torch
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional

from evo_qnas.data import IGNORE, Images
from evo_qnas.data.miou import confusion, mean_iou
from evo_qnas.errors import NetworkError

_MOST_IMAGES, _MOST_PIXELS = 512, 2**20


def evaluation_batch(images: torch.Tensor) -> int:
    """How many images of this shape (n, c, h, w) to run at once: 512 small ones, fewer large ones."""
    pixels = int(images.shape[-1] * images.shape[-2]) if images.ndim == 4 else 1
    return max(1, min(_MOST_IMAGES, _MOST_PIXELS // max(1, pixels)))


@torch.no_grad()
def accuracy(network: nn.Module, images: Images) -> float:
    """Share of the images whose largest logit is their label, 0..1."""
    right = 0
    for pixels, labels in images.parts(evaluation_batch(images.pixels)):
        right += int((network(pixels).argmax(dim=1) == labels).sum())
    return right / len(images)


class Task(ABC):
    """What a run needs to know of a task. Logits are (n, classes, *places), labels (n, *map).

    Attributes:
        name: as in a card.
        metric_name: what `metric` gives, in words.
    """

    name: str
    metric_name: str

    @abstractmethod
    def loss(
        self,
        logits: Float[torch.Tensor, "n classes *places"],
        labels: Int[torch.Tensor, "n *map"],
        *,
        class_weights: Float[torch.Tensor, " classes"] | None = None,
        label_smoothing: float = 0.0,
    ) -> Float[torch.Tensor, ""]:
        """Cross-entropy, mean over what is labelled."""

    @abstractmethod
    def predict(
        self, logits: Float[torch.Tensor, "n classes *places"], size: tuple[int, ...]
    ) -> Int[torch.Tensor, "n *map"]:
        """The most likely class of each image or pixel, for labels of `size`."""

    @abstractmethod
    def metric(self, network: nn.Module, images: Images) -> float:
        """How good a network is on labelled images, 0..1, larger is better."""


@final
class Classification(Task):
    """One label per image; the metric is the share of right ones."""

    name = "classification"
    metric_name = "accuracy"

    def loss(
        self,
        logits: Float[torch.Tensor, "n classes *places"],
        labels: Int[torch.Tensor, "n *map"],
        *,
        class_weights: Float[torch.Tensor, " classes"] | None = None,
        label_smoothing: float = 0.0,
    ) -> Float[torch.Tensor, ""]:
        """Cross-entropy."""
        return functional.cross_entropy(logits, labels, weight=class_weights, label_smoothing=label_smoothing)

    def predict(
        self, logits: Float[torch.Tensor, "n classes *places"], size: tuple[int, ...]
    ) -> Int[torch.Tensor, "n *map"]:
        """The largest logit's class."""
        return logits.argmax(dim=1)

    def metric(self, network: nn.Module, images: Images) -> float:
        """Accuracy."""
        return accuracy(network, images)


@final
class Segmentation(Task):
    """One label per pixel; the metric is the mean intersection over union, as `evo_qnas.data.miou` counts it.

    Logits may have any resolution: they are up-sampled bilinearly to that of the labels, so that a network need not
    carry the up-sampling itself.
    """

    name = "segmentation"
    metric_name = "mIoU"

    def loss(
        self,
        logits: Float[torch.Tensor, "n classes *places"],
        labels: Int[torch.Tensor, "n *map"],
        *,
        class_weights: Float[torch.Tensor, " classes"] | None = None,
        label_smoothing: float = 0.0,
    ) -> Float[torch.Tensor, ""]:
        """Cross-entropy over pixels, those labelled `IGNORE` left out; 0 where none is labelled."""
        if not bool((labels != IGNORE).any()):
            return logits.sum() * 0.0
        return functional.cross_entropy(
            upsampled(logits, tuple(labels.shape[1:])),
            labels,
            weight=class_weights,
            label_smoothing=label_smoothing,
            ignore_index=IGNORE,
        )

    def predict(
        self, logits: Float[torch.Tensor, "n classes *places"], size: tuple[int, ...]
    ) -> Int[torch.Tensor, "n *map"]:
        """The largest logit's class at each pixel, after up-sampling."""
        return upsampled(logits, size).argmax(dim=1)

    @torch.no_grad()
    def metric(self, network: nn.Module, images: Images) -> float:
        """Mean intersection over union."""
        return mean_iou(self.confusion(network, images))

    @torch.no_grad()
    def confusion(self, network: nn.Module, images: Images) -> Int[torch.Tensor, "classes classes"]:
        """How often each label (row) was taken for each class (column) over all pixels."""
        total: torch.Tensor | None = None
        for pixels, labels in images.parts(evaluation_batch(images.pixels)):
            logits = network(pixels)
            found = self.predict(logits, tuple(labels.shape[1:]))
            counted = confusion(found, labels, logits.shape[1])
            total = counted if total is None else total + counted
        if total is None:
            raise NetworkError("a metric needs at least one image")
        return total


def upsampled(
    logits: Float[torch.Tensor, "n classes h w"], size: tuple[int, ...]
) -> Float[torch.Tensor, "n classes height width"]:
    """Logits at the resolution `size`, bilinear with aligned pixel areas."""
    if tuple(logits.shape[2:]) == tuple(size):
        return logits
    return functional.interpolate(logits, size=list(size), mode="bilinear", align_corners=False)


TASKS: dict[str, Task] = {task.name: task for task in (Classification(), Segmentation())}
