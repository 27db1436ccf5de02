"""Means of values; in integers over whole maps alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Mean, Pending
from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role


def _mean(node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, axes = arguments[:2]
    rank = source.integers.ndim if isinstance(source, Centred) else 0
    if not rank or sorted(axis % rank for axis in axes or ()) != list(range(2, rank)):
        return None
    return _of_whole_maps(node, source)


def _adaptive(node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, value = arguments[0], node.meta.get("val")
    if not isinstance(source, Centred) or not isinstance(value, torch.Tensor) or tuple(value.shape[2:]) != (1, 1):
        return None
    return _of_whole_maps(node, source)


def _of_whole_maps(node: fx.Node, source: Centred) -> Pending:
    axes = tuple(range(2, source.integers.ndim))
    sums = source.integers.sum(dim=axes, keepdim=True)
    count = source.integers[0, 0].numel()
    return Pending(Mean(sums.numpy(), source.scale, count), shape=(-1, *tuple(node.meta["val"].shape)[1:]))


MEAN = Operation(name="mean", role=Role.POOLING, overloads=(ATEN.mean.dim,), integer=_mean)
ADAPTIVE_AVG_POOL2D = Operation(
    name="adaptive_avg_pool2d", role=Role.POOLING, overloads=(ATEN.adaptive_avg_pool2d.default,), integer=_adaptive
)
AVG_POOL2D = Operation(name="avg_pool2d", role=Role.POOLING, overloads=(ATEN.avg_pool2d.default,))
