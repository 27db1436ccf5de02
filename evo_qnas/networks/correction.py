"""What calibration learns from a few images: which inputs of a layer matter, how far its output shifts.

Source: Nagel et al. 2019, Data-Free Quantization through Weight Equalization and Bias Correction, section 4.2 and
appendix D (empirical correction, layer by layer); the weighting of weight errors by the inputs' second moments is the
diagonal of the layer's Hessian, as in Nagel et al. 2020, AdaRound, equation 13.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.networks.quantizers import QuantizedLayer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStatistics:
    """Of one float layer on a batch.

    Attributes:
        squares: (inputs of a group,) or (out, 1) mean square of each input channel, as the weight's rows need it.
        mean: (out,) mean output.
    """

    squares: Float[torch.Tensor, "rows columns"]
    mean: Float[torch.Tensor, " out"]


@torch.no_grad()
def observe(network: nn.Module, layers: Sequence[QuantizedLayer], batch: torch.Tensor) -> list[LayerStatistics]:
    """Statistics of the layers, which must not be active, on a batch of the network's inputs."""
    found: dict[int, LayerStatistics] = {}

    def note(layer: QuantizedLayer) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            squares = _per_channel(arguments[0].square(), layer)
            groups = max(1, len(squares) // layer.weight.shape[1])
            rows = squares.view(groups, -1).repeat_interleave(len(layer.weight) // groups, dim=0)
            found[id(layer)] = LayerStatistics(squares=rows, mean=_per_channel(output, layer))

        return hook

    handles = [layer.register_forward_hook(note(layer)) for layer in layers]
    try:
        network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return [found[id(layer)] for layer in layers]


@torch.no_grad()
def correct_biases(
    network: nn.Module, layers: Sequence[QuantizedLayer], statistics: Sequence[LayerStatistics], batch: torch.Tensor
) -> None:
    """Moves each bias so that the layer's mean output is that of the float network, in the order in which they run."""

    def correcting(layer: QuantizedLayer, wanted: torch.Tensor) -> Callable[..., torch.Tensor]:
        def hook(_module: nn.Module, _arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            shift = wanted - _per_channel(output, layer)
            layer.correct(shift)
            shape = [1] * output.ndim
            shape[_axis(layer, output)] = -1
            return output + shift.view(shape)

        return hook

    pairs = [(layer, seen) for layer, seen in zip(layers, statistics, strict=True) if layer.bias is not None]
    handles = [layer.register_forward_hook(correcting(layer, seen.mean)) for layer, seen in pairs]
    try:
        network(batch)
    finally:
        for handle in handles:
            handle.remove()


def _axis(layer: QuantizedLayer, x: torch.Tensor) -> int:
    """Where the channels of a layer's input or output are."""
    return 1 if layer.weight.ndim > 2 else x.ndim - 1


def _per_channel(x: torch.Tensor, layer: QuantizedLayer) -> Float[torch.Tensor, " channels"]:
    """Means over everything but the channels."""
    axis = _axis(layer, x)
    return x.mean(dim=[dim for dim in range(x.ndim) if dim != axis])
