"""Calibration by a few images: the inputs of a layer that matter, and the shift of its output.

Source: Nagel et al. 2019, Data-Free Quantization through Weight Equalization and Bias Correction, section 4.2 and
appendix D (empirical correction, layer by layer); the weighting of weight errors by the inputs' second moments is the
diagonal of the layer's Hessian, as in Nagel et al. 2020, AdaRound, equation 13.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.networks.capture.exporting import Example
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.pieces import run_on
from evo_qnas.networks.quantization.quantizers import QuantizedLayer

# A channel whose deviation is below a thousandth of the layer's mean deviation is hardly rescaled, and no channel is
# rescaled by more than 4: a channel that died is not blown up into noise. Chosen, not measured; the gain of matching
# moments is in benchmarks/README.md, section on refinement.
_LEAST_SHARE, _MOST = 1e-3, 4.0


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


def run_hooked(network: nn.Module, batch: Example, hooks: Sequence[tuple[QuantizedLayer, Callable[..., Any]]]) -> None:
    """Runs the network once with forward hooks on layers, which are removed again."""
    handles = [layer.register_forward_hook(hook) for layer, hook in hooks]
    try:
        run_on(network, batch)
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def observe(network: nn.Module, layers: Sequence[QuantizedLayer], batch: Example) -> list[LayerStatistics]:
    """Statistics of the layers, which must not be active, on a batch of the network's inputs; sums over their calls."""
    results: dict[int, LayerStatistics] = {}

    def note(layer: QuantizedLayer) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if layer.role is Role.EMBEDDING:
                rows = torch.ones(tuple(layer.weight.shape), device=output.device)
                results[id(layer)] = LayerStatistics(squares=rows, mean=_per_channel(output, layer))
                return
            squares = _per_channel(arguments[0].square(), layer)
            groups = max(1, len(squares) // layer.weight.shape[1])
            rows = squares.view(groups, -1).repeat_interleave(len(layer.weight) // groups, dim=0)
            present = LayerStatistics(squares=rows, mean=_per_channel(output, layer))
            results[id(layer)] = _summed(results.get(id(layer)), present)

        return hook

    run_hooked(network, batch, [(layer, note(layer)) for layer in layers])
    return [results[id(layer)] for layer in layers]


@torch.no_grad()
def correct_biases(
    network: nn.Module, layers: Sequence[QuantizedLayer], statistics: Sequence[LayerStatistics], batch: Example
) -> None:
    """Moves each bias so that the layer's mean output is that of the float network, in the order in which they run.

    The bias of a layer that is called several times stays: one shift is not right for all calls.
    """

    def correcting(layer: QuantizedLayer, target: torch.Tensor) -> Callable[..., torch.Tensor]:
        def hook(_module: nn.Module, _arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            shift = target - _per_channel(output, layer)
            layer.correct(shift)
            return shifted(layer, output, shift)

        return hook

    both = zip(layers, statistics, strict=True)
    pairs = [(layer, floats) for layer, floats in both if layer.bias is not None and layer.calls == 1]
    run_hooked(network, batch, [(layer, correcting(layer, floats.mean)) for layer, floats in pairs])


Moments = tuple[Float[torch.Tensor, " out"], Float[torch.Tensor, " out"]]


@torch.no_grad()
def moments(network: nn.Module, layers: Sequence[QuantizedLayer], batch: Example) -> list[Moments]:
    """Mean and standard deviation of each output channel of the layers on a batch of the network's inputs."""
    results: dict[int, Moments] = {}

    def note(layer: QuantizedLayer, _arguments: object, output: torch.Tensor) -> None:
        results[id(layer)] = _moments(output, layer)

    run_hooked(network, batch, [(layer, note) for layer in layers])
    return [results[id(layer)] for layer in layers]


@contextmanager
def matched_moments(layers: Sequence[QuantizedLayer], *, for_good: bool) -> Iterator[None]:
    """A context in which refined layers give the means and deviations they had, whenever their network runs.

    Their inputs are no longer the teacher's, so that outputs shift and shrink; a factor and a shift per channel, which
    cost nothing on a device, undo that, as new statistics of a BatchNorm do for other layers. Where one scale serves
    all channels, or several layers, there is no factor. Layers without a bias, or called several times, are left alone.

    Args:
        layers: of any kind.
        for_good: the layers themselves are rescaled by the first batch, else only what they give.
    """

    def match(layer: QuantizedLayer, _arguments: object, output: torch.Tensor) -> torch.Tensor:
        return matched(layer, output, for_good=for_good)

    handles = [layer.register_forward_hook(match) for layer in layers if layer.kept is not None]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def matched(layer: QuantizedLayer, output: torch.Tensor, *, for_good: bool) -> torch.Tensor:
    """The output of a refined layer with the moments that it had, see `matched_moments`."""
    if layer.bias is None or layer.calls > 1:
        return output
    mean, deviation = _moments(output, layer)
    target = layer.kept or (mean, deviation)
    least = _LEAST_SHARE * target[1].mean()
    share = ((target[1] + least) / (deviation + least)).clamp(1.0 / _MOST, _MOST)
    if not layer.scales_channels:
        share = torch.ones_like(share)
    shift = target[0] - mean * share
    if for_good:
        layer.rescale(share, shift)
    shape = [1] * output.ndim
    shape[layer.channel_axis(output.ndim)] = -1
    return output * share.view(shape) + shift.view(shape)


def shift_of(layer: QuantizedLayer, target: torch.Tensor, output: torch.Tensor) -> Float[torch.Tensor, " channels"]:
    """What the mean of each channel of an output lacks of the target's."""
    return _per_channel(target, layer) - _per_channel(output, layer)


def shifted(layer: QuantizedLayer, output: torch.Tensor, shift: Float[torch.Tensor, " channels"]) -> torch.Tensor:
    """An output plus a shift per channel."""
    shape = [1] * output.ndim
    shape[layer.channel_axis(output.ndim)] = -1
    return output + shift.view(shape)


def _summed(before: LayerStatistics | None, present: LayerStatistics) -> LayerStatistics:
    """Statistics of several calls: the weights' rows count by all of them."""
    if before is None:
        return present
    return LayerStatistics(squares=before.squares + present.squares, mean=present.mean)


def _moments(output: torch.Tensor, layer: QuantizedLayer) -> Moments:
    mean = _per_channel(output, layer)
    return mean, (_per_channel(output.square(), layer) - mean.square()).clamp_min(0.0).sqrt()


def _per_channel(x: torch.Tensor, layer: QuantizedLayer) -> Float[torch.Tensor, " channels"]:
    """Means over everything but the channels."""
    axis = layer.channel_axis(x.ndim)
    return x.mean(dim=[dim for dim in range(x.ndim) if dim != axis])
