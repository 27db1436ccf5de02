"""Scales by least squared error: searches that schemes share.

What the search for weights gains over the covering scale, and what its weighting gains, is in `benchmarks/few_bits.py`.
"""

import torch
from jaxtyping import Float

# Candidates between _NARROWEST and _WIDEST of the covering scale: 2 % apart. Chosen, not measured.
_WEIGHT_CANDIDATES, _NARROWEST, _WIDEST = 48, 0.3, 1.25
# A channel of zeros counts as one that reaches this share of the layer's largest weight: its bias still fits 32 bits.
_LEAST_CHANNEL = 2.0**-15
# Bins of the histogram that stands for a sample: four for each code of 8 bits. Chosen, not measured.
_BINS = 1024
# Shares of a sample's ends that are tried: the least of them, and how many where one end or both ends (in pairs) move.
# Chosen, not measured.
_LEAST_SHARE, _ONE_END, _TWO_ENDS = 0.2, 65, 17


def weight_range(bits: int) -> tuple[int, int]:
    """Smallest and largest number of two's complement, for example (-8, 7) at 4 bits."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def weight_scales(
    weight: Float[torch.Tensor, "out ..."], bits: int, importance: Float[torch.Tensor, "out inputs"] | None = None
) -> Float[torch.Tensor, " out"]:
    """Per output channel the symmetric scale that leaves the least squared error, found on a grid; (out,) float32.

    Errors are weighted by the importance of their input channel, the same for all where None.

    The grid holds 48 shares from 0.3 to 1.25 of the scale that just covers the largest magnitude; a channel of zeros
    counts as one that reaches 2**-15 of the layer's largest weight.
    """
    low, high = weight_range(bits)
    flat = weight.detach().flatten(1)
    largest = flat.abs().amax(dim=1)
    floor = float(largest.max()) * _LEAST_CHANNEL
    cover = (largest / high).clamp_min(floor / high if floor > 0 else 1.0)
    share = torch.ones((), device=flat.device)
    if importance is not None:
        share = importance.view(*weight.shape[:2], *[1] * (weight.ndim - 2)).expand_as(weight).flatten(1)
    best, least = cover.clone(), torch.full_like(cover, torch.inf)
    for factor in torch.linspace(_NARROWEST, _WIDEST, _WEIGHT_CANDIDATES):
        scale = cover * factor
        codes = torch.clamp(torch.round(flat / scale[:, None]), low, high)
        error = ((codes * scale[:, None] - flat) ** 2 * share).sum(dim=1)
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
    return best


def affine_range(sample: Float[torch.Tensor, " n"], bits: int) -> tuple[float, int]:
    """Scale and zero point with the least squared error on a sample of values; the range always holds 0.

    Lower and upper ends are tried at shares of the sample's own ends; errors come from a histogram of 1,024 bins.
    """
    low, high = min(0.0, float(sample.min())), max(0.0, float(sample.max()))
    if high - low <= 0.0:
        return 1.0, 0
    counts = torch.histc(sample, bins=_BINS, min=low, max=high)
    width = (high - low) / _BINS
    centres = low + width * (torch.arange(_BINS) + 0.5)
    shares = torch.linspace(_LEAST_SHARE, 1.0, _TWO_ENDS if low < 0.0 < high else _ONE_END)
    lows = low * shares if low < 0.0 else torch.zeros(1)
    highs = high * shares if high > 0.0 else torch.zeros(1)
    pairs = torch.cartesian_prod(lows, highs)
    levels = 2**bits - 1
    scales = (pairs[:, 1] - pairs[:, 0]) / levels
    zeros = torch.clamp(torch.round(-pairs[:, 0] / scales), 0, levels)
    codes = torch.clamp(torch.round(centres / scales[:, None]) + zeros[:, None], 0, levels)
    errors = (((codes - zeros[:, None]) * scales[:, None] - centres) ** 2 * counts).sum(dim=1)
    best = int(errors.argmin())
    return float(scales[best]), int(zeros[best])
