"""Noise-to-signal ratio of a block's output: the loss of distillation and the score of a choice."""

import math

import torch
from jaxtyping import Float

_FLOOR = 1e-3


def channel_variance(outputs: Float[torch.Tensor, "n c *places"]) -> Float[torch.Tensor, " c"]:
    """(c,) variance of each channel over images and places, at least a thousandth of the mean over channels.

    The floor keeps a channel that hardly moves from outweighing all others.
    """
    rows = outputs.transpose(0, 1).flatten(1)
    return variance_floor(rows.var(dim=1, correction=0))


def variance_floor(variance: Float[torch.Tensor, " c"]) -> Float[torch.Tensor, " c"]:
    """(c,) variances, at least a thousandth of their mean."""
    return variance.clamp_min(float(variance.mean()) * _FLOOR + torch.finfo(torch.float32).tiny)


def noise_to_signal(
    target: Float[torch.Tensor, "n c *places"],
    output: Float[torch.Tensor, "n c *places"],
    variance: Float[torch.Tensor, " c"],
) -> Float[torch.Tensor, " n"]:
    """(n,) per image the mean over channels of the squared error divided by the channel's variance.

    Source: Li et al. 2020, DNA, equation 6, and Moons et al. 2021, DONNA, equation 1: the mean over images is
    `mean_c E||Y_c - Yhat_c||^2 / var(Y_c)`; 0 is a perfect copy, 1 is as bad as the channel's mean.
    """
    error = (output - target).square()
    if error.ndim == 2:
        return (error / variance).mean(dim=1)
    # A sum, not a mean: torch would lay out the gradient of a mean map by map, whatever the layout of the maps.
    places = math.prod(error.shape[2:])
    return (error.sum(dim=tuple(range(2, error.ndim))) / (variance * places)).mean(dim=1)
