"""Weights rounded adaptively: compensated codes on several grids, the best of them improved one code after another."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.networks.capture.exporting import Example
from evo_qnas.networks.quantization.compensated import ROUNDING, fit_in_one_run
from evo_qnas.networks.quantization.compensation import Moments, rounded
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.recipe import Recipe, Rounding
from evo_qnas.networks.quantization.scheme import WeightGrid

# Factors of the first grid's scale, that of least weighted error of single weights: weights that make up for each
# other's errors are wider than before. And times that every code is looked at again. Chosen, not tuned; what both gain
# together stands in benchmarks/README.md.
_FACTORS, _SWEEPS = (1.0, 0.8, 0.9, 1.1, 1.2), 2
# Columns that change before the others learn of it. Only the speed depends on it.
_LAZY = 64


@final
class Adaptive(Rounding):
    """As `Compensated`, with grid and codes of the least error that a search finds, output by output.

    The error of an output is a quadratic form of its weights' errors, whose matrix is the moments of the inputs. Codes
    are first compensated on grids of several scales; from those of the least error, each code in turn is moved to where
    the form is least, the others staying: it never rises. No gradient and no seed: the same moments give the same
    codes.

    Source: Nagel et al. 2020, AdaRound, section 3.1, for the problem, which they relax and solve by gradients between
    the two nearest codes; here all codes are allowed, the descent is by coordinates, and starts from GPTQ's.
    """

    about = "as compensated, then scales and codes are searched for each output; several times as long"

    def fit(
        self, network: nn.Module, layers: Sequence[QuantizedLayer], batches: Sequence[Example], recipe: Recipe
    ) -> None:
        """See `Rounding.fit`."""
        fit_in_one_run(network, layers, batches, recipe, adapted)


def adapted(
    layer: QuantizedLayer, grid: WeightGrid, wanted: Sequence[torch.Tensor], moments: Sequence[Moments]
) -> tuple[WeightGrid, list[torch.Tensor]]:
    """Grid and rounded weights of a layer, in chunks of columns.

    Args:
        layer: whose scheme and bits round.
        grid: to start from.
        wanted: what is to be rounded, in chunks of columns.
        moments: of the same chunks.
    """
    hessians = [part.quantized + part.damping(ROUNDING) for part in moments]
    best, found, least = grid, [torch.zeros_like(part) for part in wanted], torch.empty(0)
    for factor in _FACTORS:
        tried = WeightGrid(scale=_scaled(layer, grid.scale, factor), zero_point=grid.zero_point)
        pairs = list(zip(wanted, moments, strict=True))
        parts = [rounded(layer, tried, part, of_part, ROUNDING) for part, of_part in pairs]
        errors = sum(
            (output_errors(*each) for each in zip(wanted, parts, hessians, strict=True)), torch.zeros(1).double()
        )
        if not tried.scale.ndim:
            errors = errors.sum().expand_as(errors)
        better = errors < least if len(least) else torch.ones_like(errors, dtype=torch.bool)
        found = [torch.where(better[:, :, None], new, old) for new, old in zip(parts, found, strict=True)]
        chosen = better.flatten() if tried.scale.ndim else better.all()
        best = WeightGrid(scale=torch.where(chosen, tried.scale, best.scale), zero_point=grid.zero_point)
        least = torch.where(better, errors, least) if len(least) else errors
    return best, [descended(layer, best, *each) for each in zip(wanted, found, hessians, strict=True)]


def _scaled(layer: QuantizedLayer, scale: torch.Tensor, factor: float) -> torch.Tensor:
    """A multiple of a scale, or the next larger one that the scheme allows."""
    if factor == 1.0:
        return scale
    least = factor * (scale if scale.ndim else scale.expand(len(layer.weight)))
    return layer.scheme.widened_scale(scale * factor / 2, least)


def output_errors(
    weight: Float[torch.Tensor, "groups rows columns"],
    codes: Float[torch.Tensor, "groups rows columns"],
    hessian: Float[torch.Tensor, "groups columns columns"],
) -> Float[torch.Tensor, "groups rows"]:
    """Mean squared error of each output."""
    difference = codes - weight
    errors: torch.Tensor = ((difference @ hessian) * difference).sum(dim=2)
    return errors


def descended(
    layer: QuantizedLayer,
    grid: WeightGrid,
    weight: Float[torch.Tensor, "groups rows columns"],
    start: Float[torch.Tensor, "groups rows columns"],
    hessian: Float[torch.Tensor, "groups columns columns"],
) -> Float[torch.Tensor, "groups rows columns"]:
    """Rounded weights from which no single code moves but to a larger error, or those after as many sweeps.

    Args:
        layer: whose scheme and bits round.
        grid: of all outputs of the layer, group by group.
        weight: what is rounded.
        start: values on the grid.
        hessian: of the error.
    """
    found, theta = start.clone(), torch.zeros_like(layer.scale.theta)
    columns = weight.shape[2]
    for _ in range(_SWEEPS):
        before = found.clone()
        slopes = (found - weight) @ hessian
        for first in range(0, columns, _LAZY):
            last = min(columns, first + _LAZY)
            near, old = slopes[:, :, first:last].clone(), found[:, :, first:last].clone()
            for column in range(first, last):
                own = hessian[:, column, column, None]
                value = (found[:, :, column] - near[:, :, column - first] / own).flatten().float()
                code = layer.scheme.round_weights(value[:, None], theta, grid, layer.bits)
                change = code.double().view(near.shape[:2]) - found[:, :, column]
                found[:, :, column] += change
                near += change[:, :, None] * hessian[:, None, column, first:last]
            slopes += (found[:, :, first:last] - old) @ hessian[:, first:last]
        if torch.equal(found, before):
            break
    return found
