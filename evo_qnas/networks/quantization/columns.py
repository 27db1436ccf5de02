"""What each weight of an output multiplies: the inputs of a layer as columns of a linear layer."""

from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch.nn import functional

from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.quantization.quantizers import QuantizedLayer

__all__ = ["columns_of", "has_columns"]

_CONVOLUTIONS: dict[object, int] = {torch.ops.aten.conv1d.default: 1, torch.ops.aten.conv2d.default: 2}
# Stride, padding, dilation and groups of a convolution where its call leaves them out.
_DEFAULTS = (1, 0, 1, 1)


def has_columns(layer: QuantizedLayer) -> bool:
    """True for linear layers and convolutions of one and two dimensions; not for transposed and 3-D ones."""
    return layer.role is Role.LINEAR or layer.operation in _CONVOLUTIONS


def columns_of(
    layer: QuantizedLayer, x: Float[torch.Tensor, "n *shape"]
) -> Float[torch.Tensor, "groups columns samples"]:
    """Per group the values that the weights of an output multiply, in the weights' order, for each output position.

    Args:
        layer: one that `has_columns`.
        x: its input.
    """
    if layer.role is Role.LINEAR:
        return x.flatten(0, -2).T[None]
    given: list[Any] = [*layer.arguments, *_DEFAULTS[len(layer.arguments) :]]
    rank = _CONVOLUTIONS[layer.operation]
    stride, padding, dilation = (_pair(part, rank, fill) for part, fill in zip(given[:3], (1, 0, 1), strict=True))
    kernel, groups = tuple(layer.weight.shape[2:]), int(given[3])
    if rank == 1:
        x, kernel = x.unsqueeze(2), (1, *kernel)
    if prod(kernel) * prod(stride) == 1 and not any(padding):
        found = x.flatten(2)
    else:
        found = functional.unfold(x, kernel, dilation=dilation, padding=padding, stride=stride)
    # (n, columns of all groups, positions)
    columns: torch.Tensor = found.transpose(0, 1).flatten(1).unflatten(0, (groups, -1))
    return columns


def _pair(setting: Any, rank: int, fill: int) -> tuple[int, int]:
    """A setting for rows and columns; a convolution of one dimension has one row."""
    values = list(setting) if isinstance(setting, (list, tuple)) else [setting]
    values = values * rank if len(values) < rank else values
    return (fill, int(values[0])) if rank == 1 else (int(values[0]), int(values[1]))
