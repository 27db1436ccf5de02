"""Labelled images in memory, and the three parts that a run keeps apart."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Images with their labels.

    Attributes:
        pixels: (n, channels, height, width) float32, normalised.
        labels: (n,) int64 for classification.
    """

    pixels: Float[torch.Tensor, "n c h w"]
    labels: Int[torch.Tensor, " n"]

    def __len__(self) -> int:
        return len(self.pixels)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The parts of a data set.

    Attributes:
        train: teaches teacher, candidates and fine-tuning, and calibrates ranges.
        search: scores choices and checks predictions; never trained on.
        test: touched by final validation only.
        classes: class names.
    """

    train: Images
    search: Images
    test: Images
    classes: tuple[str, ...]
