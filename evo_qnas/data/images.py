"""Labelled images in memory or in memory-mapped files."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Num

from evo_qnas.data.examples import Examples
from evo_qnas.errors import DataError

# As in Cityscapes and PASCAL VOC.
IGNORE = 255


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Images(Examples):
    """Images with their labels.

    Attributes:
        pixels: (n, channels, height, width), as stored: float32 and normalised, or uint8; may be memory-mapped.
        labels: (n,) int64 for classification, (n, height, width) uint8 for segmentation with `IGNORE` left out, floats
            of any shape for a task of numbers.
        mean: per channel, of uint8 pixels divided by 255; () for float32.
        std: the same.
    """

    pixels: Num[torch.Tensor, "n c h w"]
    labels: Num[torch.Tensor, "n *map"]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, chosen: Any) -> tuple[Float[torch.Tensor, "k c h w"], Num[torch.Tensor, "k *map"]]:
        """Normalised float32 pixels and labels of the images that `chosen` (indices or a slice) names.

        Labels that are integers become int64, floats keep their type.
        """
        labels = self.labels[chosen]
        return self.normalised(self.pixels[chosen]), labels if labels.is_floating_point() else labels.long()

    def normalised(self, pixels: Num[torch.Tensor, "k c h w"]) -> Float[torch.Tensor, "k c h w"]:
        """Stored pixels as float32, uint8 ones with `mean` and `std` taken out."""
        if pixels.dtype is not torch.uint8:
            return pixels
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (pixels.float() / 255.0 - mean) / std

    @property
    def sample(self) -> Num[torch.Tensor, "k c h w"]:
        """Pixels of the first image as they are stored."""
        return self.pixels[:1]


def class_frequencies(images: Examples, classes: int) -> Float[np.ndarray, " classes"]:
    """Share of each class among the labels, ignored ones left out; float64, adds up to 1.

    Raises:
        DataError: all labels are ignored, or a label is beyond the classes.
    """
    counts = torch.zeros(classes, dtype=torch.int64)
    for part in _labels(images):
        known = part[part != IGNORE].long()
        if len(known) and int(known.max()) >= classes:
            raise DataError(f"a label of class {int(known.max())} is beyond the {classes} classes of the data set")
        counts += torch.bincount(known, minlength=classes)
    if not int(counts.sum()):
        raise DataError("class frequencies need at least one labelled pixel: all labels are ignored")
    return (counts.double() / counts.sum()).numpy()


def _labels(images: Examples) -> Iterator[Num[torch.Tensor, "k *map"]]:
    """All labels, a few at a time; of stored images without their pixels."""
    if isinstance(images, Images):
        yield from images.labels.split(64)
    else:
        yield from (labels for _, labels in images.parts(64))
