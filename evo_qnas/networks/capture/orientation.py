"""Weights of transposed convolutions, outputs first as those of every other layer."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Shaped

__all__ = ["groups_of", "inputs_first", "outputs_first"]


def groups_of(arguments: Sequence[Any]) -> int:
    """The groups of a transposed convolution from what follows input, weight and bias."""
    return int(arguments[3]) if len(arguments) > 3 else 1


def outputs_first(
    weight: Shaped[torch.Tensor, "inputs of_group *kernel"], groups: int
) -> Shaped[torch.Tensor, "out inputs_of_group *kernel"]:
    """Weights as a convolution has them, of those that a transposed one takes."""
    return _turned(weight, groups)


def inputs_first(
    weight: Shaped[torch.Tensor, "out inputs_of_group *kernel"], groups: int
) -> Shaped[torch.Tensor, "inputs of_group *kernel"]:
    """Weights as a transposed convolution takes them, of those that are outputs first."""
    return _turned(weight, groups)


def _turned(weight: torch.Tensor, groups: int) -> torch.Tensor:
    grouped = weight.unflatten(0, (groups, -1)).transpose(1, 2)
    turned: torch.Tensor = grouped.flatten(0, 1)
    return turned
