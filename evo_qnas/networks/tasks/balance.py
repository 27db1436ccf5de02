"""Weights of classes."""

import torch
from jaxtyping import Float

from evo_qnas.data import Examples, class_frequencies

# Bounds the weight of a class of a few pixels, by which single images would decide a step.
_LEAST_FREQUENCY = 1e-3


def class_weights(images: Examples, classes: int, balance: float) -> Float[torch.Tensor, " classes"]:
    """(classes,) (median frequency / frequency) ** balance over the labels of the images, mean 1 over classes.

    A class rarer than a thousandth of all labels counts as that frequent; one that is absent has weight 1.

    Source: Eigen & Fergus 2015, section 4.3, for median frequencies; the exponent is ours.
    """
    frequency = torch.from_numpy(class_frequencies(images, classes))
    present = frequency > 0
    frequency = frequency.clamp_min(_LEAST_FREQUENCY)
    weights = (frequency[present].median() / frequency) ** balance
    weights[~present] = 1.0
    return (weights / weights[present].mean()).float()
