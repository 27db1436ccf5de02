"""What each weight of an output multiplies: the inputs of a layer as columns of a linear layer."""

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch.nn import functional

from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.quantization.quantizers import QuantizedLayer

__all__ = ["columns_of", "convolved_columns", "has_columns", "linear_columns", "places_of"]

_CONVOLUTIONS: dict[object, int] = {torch.ops.aten.conv1d.default: 1, torch.ops.aten.conv2d.default: 2}
# Stride, padding, dilation and groups of a convolution where its call leaves them out.
_DEFAULTS = (1, 0, 1, 1)


def has_columns(layer: QuantizedLayer) -> bool:
    """True for linear layers and convolutions of one and two dimensions; not for transposed and 3-D ones."""
    return layer.role is Role.LINEAR or layer.operation in _CONVOLUTIONS


def columns_of(
    layer: QuantizedLayer, x: Float[torch.Tensor, "n *shape"], every: int = 1
) -> Float[torch.Tensor, "groups columns samples"]:
    """Per group the values that the weights of an output multiply, in the weights' order, for each output position.

    Args:
        layer: one that `has_columns`.
        x: its input.
        every: how many places of a map a sample is from the next along each axis; linear layers have all.
    """
    if layer.role is Role.LINEAR:
        return linear_columns(x)
    given: list[Any] = [*layer.arguments, *_DEFAULTS[len(layer.arguments) :]]
    rank = _CONVOLUTIONS[layer.operation]
    stride, padding, dilation = (_per_axis(part, rank) for part in given[:3])
    kernel, stride = tuple(layer.weight.shape[2:]), tuple(step * every for step in stride)
    return convolved_columns(x, kernel, stride=stride, padding=padding, dilation=dilation, groups=int(given[3]))


def places_of(layer: QuantizedLayer, x: Float[torch.Tensor, "n *shape"]) -> tuple[int, ...]:
    """Size of the map that a convolution gives but for its ends; () of a linear layer."""
    if layer.role is Role.LINEAR:
        return ()
    rank = _CONVOLUTIONS[layer.operation]
    stride = _per_axis([*layer.arguments, *_DEFAULTS[len(layer.arguments) :]][0], rank)
    return tuple(max(1, size // step) for size, step in zip(x.shape[2:], stride, strict=True))


def linear_columns(x: Float[torch.Tensor, "*shape inputs"]) -> Float[torch.Tensor, "1 inputs samples"]:
    """`columns_of` for a linear layer; samples are all places before the last axis."""
    return x.flatten(0, -2).T[None]


def convolved_columns(
    x: Float[torch.Tensor, "n c *shape"],
    kernel: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Float[torch.Tensor, "groups columns samples"]:
    """`columns_of` for a convolution of one or two dimensions; samples are the places of the first example, then on."""
    if len(kernel) == 1:  # one row
        x, kernel, stride, padding, dilation = x.unsqueeze(2), (1, *kernel), (1, *stride), (0, *padding), (1, *dilation)
    if prod(kernel) == 1 and not any(padding):
        found = x[:, :, :: stride[0], :: stride[1]].flatten(2)
    else:
        found = functional.unfold(x, tuple(kernel), tuple(dilation), tuple(padding), tuple(stride))
    # (n, columns of all groups, places)
    columns: torch.Tensor = found.transpose(0, 1).flatten(1).unflatten(0, (groups, -1))
    return columns


def _per_axis(setting: Any, rank: int) -> tuple[int, ...]:
    """A setting for each axis of a map."""
    values = list(setting) if isinstance(setting, (list, tuple)) else [setting]
    return tuple(int(value) for value in (values * rank if len(values) < rank else values))
