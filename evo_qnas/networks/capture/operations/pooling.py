"""Means, sums and deviations of values."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Mean, Pending
from evo_qnas.networks.capture.operations.operation import ATEN, Role, declare


def _mean(node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, axes = arguments[0], arguments[1] if node.target is ATEN.mean.dim else None
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


MEAN = declare("mean", Role.POOLING, ATEN.mean.dim, ATEN.mean.default, integer=_mean, passes=True)
ADAPTIVE_AVG_POOL2D = declare("adaptive_avg_pool2d", Role.POOLING, ATEN.adaptive_avg_pool2d.default, integer=_adaptive)
ADAPTIVE_AVG_POOL1D = declare("adaptive_avg_pool1d", Role.POOLING, ATEN.adaptive_avg_pool1d.default)
ADAPTIVE_AVG_POOL3D = declare("adaptive_avg_pool3d", Role.POOLING, ATEN.adaptive_avg_pool3d.default)
AVG_POOL2D = declare("avg_pool2d", Role.POOLING, ATEN.avg_pool2d.default)
AVG_POOL1D = declare("avg_pool1d", Role.POOLING, ATEN.avg_pool1d.default)
SUM = declare("sum", Role.POOLING, ATEN.sum.dim_IntList, ATEN.sum.default, passes=True)
VAR = declare("var", Role.POOLING, ATEN.var.dim, ATEN.var.correction, passes=True)
STD = declare("std", Role.POOLING, ATEN.std.dim, ATEN.std.correction, passes=True)
VAR_MEAN = declare("var_mean", Role.POOLING, ATEN.var_mean.dim, ATEN.var_mean.correction)
LOGSUMEXP = declare("logsumexp", Role.POOLING, ATEN.logsumexp.default)
PROD = declare("prod", Role.POOLING, ATEN.prod.dim_int)
AVG_POOL3D = declare("avg_pool3d", Role.POOLING, ATEN.avg_pool3d.default)
