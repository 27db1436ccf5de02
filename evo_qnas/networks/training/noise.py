"""Noise-to-signal ratio of a block's output: the loss of distillation and the score of a choice."""

import math

import torch
from jaxtyping import Float

# A channel counts as if it had at least this share of the mean variance: no dead channel outweighs all others. Chosen,
# not measured.
_FLOOR = 1e-3


def channel_variance(outputs: Float[torch.Tensor, "n ..."], axis: int = 1) -> Float[torch.Tensor, " c"]:
    """(c,) variance of each channel over images and places, at least a thousandth of the mean over channels.

    The floor keeps a channel that hardly moves from outweighing all others.

    Args:
        outputs: of a block.
        axis: of the channels, see `BlockShape.channel_axis`.
    """
    rows = channel_rows(outputs, axis)
    return variance_floor(rows.var(dim=1, correction=0))


def channel_rows(outputs: Float[torch.Tensor, "n ..."], axis: int) -> Float[torch.Tensor, "c values"]:
    """(c, n * places) all values of each channel."""
    return outputs.movedim(axis, 1).transpose(0, 1).flatten(1)


def variance_floor(variance: Float[torch.Tensor, " c"]) -> Float[torch.Tensor, " c"]:
    """(c,) variances, at least a thousandth of their mean."""
    return variance.clamp_min(float(variance.mean()) * _FLOOR + torch.finfo(torch.float32).tiny)


def noise_to_signal(
    target: Float[torch.Tensor, "n *shape"],
    output: Float[torch.Tensor, "n *shape"],
    variance: Float[torch.Tensor, " c"],
    axis: int = 1,
) -> Float[torch.Tensor, " n"]:
    """(n,) per image the mean over channels of the squared error divided by the channel's variance.

    Args:
        target: outputs of a block.
        output: those of what takes its place.
        variance: of the target's channels.
        axis: of the channels, see `BlockShape.channel_axis`.

    Source: Li et al. 2020, DNA, equation 6, and Moons et al. 2021, DONNA, equation 1: the mean over images is
    `mean_c E||Y_c - Yhat_c||^2 / var(Y_c)`; 0 is a perfect copy, 1 is as bad as the channel's mean.
    """
    error = (output - target).square().movedim(axis, 1)
    if error.ndim == 2:
        return (error / variance).mean(dim=1)
    # A sum, not a mean: torch would lay out the gradient of a mean map by map, whatever the layout of the maps.
    places = math.prod(error.shape[2:])
    return (error.sum(dim=tuple(range(2, error.ndim))) / (variance * places)).mean(dim=1)
