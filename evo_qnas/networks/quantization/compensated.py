"""Weights rounded with error compensation: layer after layer in one run of the network."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data.nests import joined, length, rows
from evo_qnas.networks.capture.exporting import Example
from evo_qnas.networks.quantization.columns import has_columns
from evo_qnas.networks.quantization.compensation import Moments, chunks_of, moments_of, rounded, settled
from evo_qnas.networks.quantization.correction import matched, matched_moments, observe, run_hooked, shift_of, shifted
from evo_qnas.networks.quantization.nearest import Nearest
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.recipe import Recipe, Rounding
from evo_qnas.networks.quantization.scheme import WeightGrid

logger = logging.getLogger(__name__)

# Shares of a layer's moments that are added to them, before the errors of earlier layers are made up for and before
# weights are rounded. Of few pairs that were tried on EfficientNet-Lite0 (benchmarks/few_bits.py); between 0.05 and
# these, noise on held-out pictures changes by half a decibel.
_SETTLING, ROUNDING = 0.3, 0.1
# Examples are left out, evenly, where the widest maps of all of them would take more than this, floats of the float and
# the quantized network, each with a copy.
_MOST_BYTES = 2**31
_BYTES_PER_VALUE = 2 * 2 * 4


# Gives grid and rounded weights of a layer, for its first grid, what is to be rounded, and moments, the last two in
# chunks of columns.
Finding = Callable[
    [QuantizedLayer, WeightGrid, Sequence[torch.Tensor], Sequence[Moments]], tuple[WeightGrid, list[torch.Tensor]]
]


@final
class Compensated(Rounding):
    """Layer after layer the weights make up for the errors of the layers before, and of their own rounding.

    One run on twice the examples: the first half goes through the float layers, the second through those that are
    quantized already, so that each layer knows both its inputs. See `compensation` for the closed form and its sources.

    Layers that are called several times or share weights, embeddings, transposed and three-dimensional convolutions are
    rounded to nearest, but see quantized inputs and get corrected biases all the same. A network that takes batches of
    one size alone, or mixes the examples of a batch, is rounded to nearest as a whole, with a warning.
    """

    about = "the other weights make up for each one's rounding (GPTQ), and for the layers before; seconds, not training"

    def fit(
        self, network: nn.Module, layers: Sequence[QuantizedLayer], batches: Sequence[Example], recipe: Recipe
    ) -> None:
        """See `Rounding.fit`."""
        fit_in_one_run(network, layers, batches, recipe, _compensated)


def fit_in_one_run(
    network: nn.Module,
    layers: Sequence[QuantizedLayer],
    batches: Sequence[Example],
    recipe: Recipe,
    find: Finding,
) -> None:
    """Fits all layers as `Compensated` does, those that can be with grids and weights that `find` gives."""
    probe = rows(batches[0], slice(0, 2))
    with matched_moments(layers, for_good=False):
        axes, values = _halves(network, layers, _twice(probe))
    if axes is None:
        logger.warning("this network mixes the examples of a batch: its weights are rounded to nearest")
        Nearest().fit(network, layers, batches, recipe)
        return
    examples = _spaced(joined(batches), _MOST_BYTES // (_BYTES_PER_VALUE * max(1, values)))
    plain = [layer for layer in layers if layer.kept is None and not _compensates(layer)]
    if plain:
        with matched_moments(layers, for_good=False):
            statistics = observe(network, plain, examples)
        for layer, of_layer in zip(plain, statistics, strict=True):
            layer.fit(of_layer.squares if recipe.weighted_scales else None)
            layer.active = False
    shifts: dict[int, torch.Tensor] = {}
    hook = _hook(axes, recipe, shifts, find)
    run_hooked(network, _twice(examples), [(layer, hook) for layer in layers])
    for layer in layers:
        layer.active = True
        if id(layer) in shifts:
            layer.correct(shifts[id(layer)])


def _compensated(
    layer: QuantizedLayer, grid: WeightGrid, wanted: Sequence[torch.Tensor], moments: Sequence[Moments]
) -> tuple[WeightGrid, list[torch.Tensor]]:
    parts = zip(wanted, moments, strict=True)
    return grid, [rounded(layer, grid, part, of_part, ROUNDING) for part, of_part in parts]


def _compensates(layer: QuantizedLayer) -> bool:
    return has_columns(layer) and layer.calls == 1 and not layer.shared


def _twice(examples: Example) -> Example:
    twice: Example = joined([examples, examples])
    return twice


def _spaced(examples: Example, most: int) -> Example:
    """All examples, or as many, evenly spaced; two at least."""
    count, most = length(examples), max(2, most)
    if count <= most:
        return examples
    chosen: Example = rows(examples, torch.linspace(0, count - 1, most).round().long())
    return chosen


def _halves(network: nn.Module, layers: Sequence[QuantizedLayer], twice: Example) -> tuple[dict[int, int] | None, int]:
    """Axis of the examples in the input of each layer, and values per example of the widest layer's maps.

    No axes where those of a layer cannot be told: the two halves of the run have the same examples, so that they are
    equal halves of every map along its axis of examples.
    """
    axes: dict[int, int] = {}
    widest, count, odd = 0, length(twice), False

    def note(layer: QuantizedLayer, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal widest, odd
        x = arguments[0]
        widest = max(widest, (x.numel() + output.numel()) // count)
        equal = [axis for axis in range(min(x.ndim, 2)) if _repeats(x, axis)]
        odd = odd or not equal or axes.get(id(layer), equal[0]) != equal[0]
        axes[id(layer)] = equal[0] if equal else 0

    run_hooked(network, twice, [(layer, note) for layer in layers])
    return None if odd or len(axes) < len(layers) else axes, widest


def _repeats(x: torch.Tensor, axis: int) -> bool:
    """True where the second half of an axis equals the first, but for the order of sums."""
    if x.shape[axis] % 2:
        return False
    first, second = x.chunk(2, axis)
    return torch.allclose(first, second, rtol=1e-3, atol=1e-4 * float(first.abs().max()))


def _hook(
    axes: Mapping[int, int], recipe: Recipe, shifts: dict[int, torch.Tensor], find: Finding
) -> Callable[..., torch.Tensor]:
    """A hook that fits each layer when it is called, and gives its outputs of the float and the quantized network."""

    def hook(layer: QuantizedLayer, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        axis = axes[id(layer)]
        exact, given = arguments[0].chunk(2, axis)
        target, own = output.chunk(2, axis)
        if layer.kept is not None:
            pair = matched(layer, target, for_good=False), matched(layer, own, for_good=True)
            return torch.cat(pair, axis)
        if _compensates(layer):
            _fit(layer, exact, given, recipe, find)
        own = layer.computed(given, layer.quantized_weight(), layer.bias)
        if recipe.corrected_biases and layer.bias is not None and layer.calls == 1:
            shifts[id(layer)] = shift_of(layer, target, own)
            own = shifted(layer, own, shifts[id(layer)])
        return torch.cat([target, own], axis)

    return hook


def _fit(
    layer: QuantizedLayer,
    exact: Float[torch.Tensor, "n *shape"],
    given: Float[torch.Tensor, "n *shape"],
    recipe: Recipe,
    find: Finding,
) -> None:
    """Sets grid and weights of a layer from its inputs in the float and in the quantized network."""
    columns = layer.weight[0].numel()
    chunks = chunks_of(columns)
    moments = [moments_of(layer, exact, given, chunk) for chunk in chunks]
    groups = len(moments[0].squares)
    weight = layer.weight.detach().double().flatten(1).unflatten(0, (groups, -1))
    wanted = [settled(weight[:, :, chunk], part, _SETTLING) for chunk, part in zip(chunks, moments, strict=True)]
    squares = torch.cat([part.squares for part in moments], dim=1).float()
    importance = squares.unflatten(1, (layer.weight.shape[1], -1)).mean(dim=2)
    importance = importance.repeat_interleave(len(layer.weight) // groups, dim=0)
    layer.replace(_as_weight(layer, wanted))
    layer.fit(importance if recipe.weighted_scales else None)
    grid = WeightGrid(scale=layer.scale().detach(), zero_point=layer.zero_point)
    grid, found = find(layer, grid, wanted, moments)
    layer.scale.set(grid.scale)
    layer.replace(_as_weight(layer, found))


def _as_weight(layer: QuantizedLayer, chunks: Sequence[torch.Tensor]) -> Any:
    """Columns of each group in the shape of the layer's weight."""
    return torch.cat(list(chunks), dim=2).float().reshape(layer.weight.shape)
