"""Sizes of values for one example of a batch of any size."""

from math import prod
from typing import Any

import torch
from torch import fx

__all__ = ["shape_of_one", "values_of_one"]


def shape_of_one(node: fx.Node) -> tuple[int, ...]:
    """The shape of what a node gives for a batch of one example; () for what is no tensor."""
    result: Any = node.meta.get("val")
    return tuple(_of_one(size) for size in result.shape) if isinstance(result, torch.Tensor) else ()


def values_of_one(node: fx.Node) -> int:
    """Number of values that a node gives for one example; 0 for what is no tensor."""
    return prod(shape_of_one(node)) if isinstance(node.meta.get("val"), torch.Tensor) else 0


def _of_one(size: Any) -> int:
    if isinstance(size, int):
        return size
    expression = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, 1)))
