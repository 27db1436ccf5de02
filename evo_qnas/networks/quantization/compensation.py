"""Error compensation in closed form: weights that make up for the layers before, and for their own rounding.

Columns are what each weight of an output multiplies, see `columns_of`; all is done per group of a convolution, all
groups at once, in float64.

Source: Frantar et al. 2022, GPTQ, algorithm 1 (columns one after another, the error of each spread over those that are
left, by a Cholesky factor of the inverse Hessian; columns of large inputs first) and section 3.3, step 2 (columns in
blocks). Frantar and Alistarh 2022, Optimal Brain Compression, section 5, let a layer see the inputs that the quantized
layers before it give; here its target is what the float layer gives for the float inputs, a ridge regression. What
differs: second moments are about the mean wherever a bias takes up the mean, and damping is a share of each column's
own moment beside the layer's mean.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import final

import torch
from jaxtyping import Float

from evo_qnas.networks.quantization.columns import columns_of, places_of
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.scheme import WeightGrid

__all__ = ["MOST_COLUMNS", "Moments", "chunks_of", "moments_of", "rounded", "settled"]

# Columns whose moments are taken together: 134 MB in float64 for each of four matrices. Layers with more, such as
# 3 x 3 convolutions of 960 channels, are compensated within such chunks alone.
MOST_COLUMNS = 4096
# Columns that are rounded before the others learn of their errors. Only the speed depends on it.
_LAZY = 64
# Examples whose columns are unfolded at a time.
_UNFOLDED = 8
# Samples that moments are taken of, at least, and for each column: of larger maps every second or third place along
# each axis, and so on, as long as that many are left. Neighbours on a map are much alike.
_SAMPLES, _SAMPLES_PER_COLUMN = 2**15, 64
# Beside the damping: keeps columns of inputs that are always 0 solvable.
_LEAST = 1e-6


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Second moments of a layer's columns, about the mean where the layer has a bias.

    Attributes:
        quantized: of the inputs that the quantized layers before give.
        crossed: of the float network's inputs (rows) with these (columns).
        squares: mean squares of the quantized inputs, about 0.
    """

    quantized: Float[torch.Tensor, "groups columns columns"]
    crossed: Float[torch.Tensor, "groups columns columns"]
    squares: Float[torch.Tensor, "groups columns"]

    def damping(self, share: float) -> Float[torch.Tensor, "groups columns columns"]:
        """What is added to the moments so that few examples do not decide too much."""
        own = self.quantized.diagonal(dim1=1, dim2=2)
        mean = own.mean(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        return torch.diag_embed(share * (own + mean) / 2 + _LEAST * mean)


def chunks_of(columns: int) -> list[slice]:
    """Columns that are compensated together, of about equal numbers."""
    count = -(-columns // MOST_COLUMNS)
    ends = [columns * index // count for index in range(count + 1)]
    return [slice(first, last) for first, last in pairwise(ends)]


def moments_of(
    layer: QuantizedLayer,
    floats: Float[torch.Tensor, "n *shape"],
    quantized: Float[torch.Tensor, "n *shape"],
    chunk: slice,
) -> Moments:
    """Moments of some columns of a layer.

    Args:
        layer: one that `has_columns`.
        floats: its inputs in the float network.
        quantized: its inputs for the same examples behind quantized layers.
        chunk: which columns.
    """
    sums: list[torch.Tensor] = []
    count = 0
    every = _every(layer, quantized)
    for own, other in zip(floats.split(_UNFOLDED), quantized.split(_UNFOLDED), strict=True):
        exact, given = (columns_of(layer, part, every)[:, chunk] for part in (own, other))
        turned = given.transpose(1, 2)
        parts = [given @ turned, exact @ turned, given.sum(dim=2), exact.sum(dim=2)]
        doubles = [part.double() for part in parts]
        sums = doubles if not sums else [before + part for before, part in zip(sums, doubles, strict=True)]
        count += given.shape[2]
    hessian, crossed, mean, exact_mean = (part / count for part in sums)
    squares = hessian.diagonal(dim1=1, dim2=2).clone()
    if layer.bias is not None:
        hessian = hessian - mean[:, :, None] * mean[:, None, :]
        crossed = crossed - exact_mean[:, :, None] * mean[:, None, :]
    return Moments(quantized=hessian, crossed=crossed, squares=squares)


def _every(layer: QuantizedLayer, x: Float[torch.Tensor, "n *shape"]) -> int:
    """How many places of a map a sample is from the next along each axis."""
    places = places_of(layer, x)
    wanted = max(_SAMPLES, _SAMPLES_PER_COLUMN * layer.weight[0].numel())
    every = 1
    while places and len(x) * prod(size // (every + 1) for size in places) >= wanted:
        every += 1
    return every


def settled(
    weight: Float[torch.Tensor, "groups rows columns"], moments: Moments, damping: float
) -> Float[torch.Tensor, "groups rows columns"]:
    """Float weights whose outputs on the quantized inputs are nearest to those of `weight` on the float inputs."""
    ridge = moments.damping(damping)
    targets = weight @ (moments.crossed + ridge)
    solved: torch.Tensor = torch.linalg.solve(moments.quantized + ridge, targets.transpose(1, 2))
    return solved.transpose(1, 2)


def rounded(
    layer: QuantizedLayer,
    grid: WeightGrid,
    weight: Float[torch.Tensor, "groups rows columns"],
    moments: Moments,
    damping: float,
) -> Float[torch.Tensor, "groups rows columns"]:
    """Weights on a grid, columns one after another, each one's error spread over those that are left.

    Args:
        layer: whose scheme and bits round.
        grid: of all outputs of the layer, group by group.
        weight: what is to be rounded.
        moments: of these columns.
        damping: share of the moments that is added to them.
    """
    order = torch.sort(moments.squares, dim=1, descending=True, stable=True).indices
    hessian = moments.quantized + moments.damping(damping)
    columns, groups = order.shape[1], order.shape[0]
    hessian = hessian.gather(1, order[:, :, None].expand_as(hessian)).gather(2, order[:, None, :].expand_as(hessian))
    # Upper factor of the inverse: row i has what the columns behind i take of an error in i.
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    shares = torch.linalg.cholesky(inverse, upper=True)
    index = order[:, None, :].expand_as(weight)
    left = weight.gather(2, index)
    result = torch.empty_like(left)
    theta = torch.zeros_like(layer.scale.theta)
    for first in range(0, columns, _LAZY):
        last = min(columns, first + _LAZY)
        errors = torch.empty(groups, left.shape[1], last - first, dtype=left.dtype)
        for column in range(first, last):
            value = left[:, :, column].flatten().float()
            codes = layer.scheme.round_weights(value[:, None], theta, grid, layer.bits)
            result[:, :, column] = codes.double().view(groups, -1)
            error = (left[:, :, column] - result[:, :, column]) / shares[:, column, column, None]
            errors[:, :, column - first] = error
            left[:, :, column + 1 : last] -= error[:, :, None] * shares[:, None, column, column + 1 : last]
        left[:, :, last:] -= errors @ shares[:, first:last, last:]
    return torch.empty_like(result).scatter_(2, index, result)
