"""Multiplications of operations that are no layers: products of activations, as torch's own counter counts them."""

from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree
from torch.utils.flop_counter import FlopCounterMode

from evo_qnas.networks.capture.exporting import FAILURES
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.sizes import shape_of_one

__all__ = ["multiplications"]

_NONE = {Role.LAYOUT, Role.ACTIVATION, Role.SHAPE}


def multiplications(node: fx.Node) -> int:
    """Multiplications of a node that is no layer, for one example: half of what `FlopCounterMode` counts."""
    target: Any = node.target
    operation = operation_of(target) if node.op == "call_function" else None
    leaves = pytree.tree_leaves((list(node.args), dict(node.kwargs)))
    tensors = [leaf for leaf in leaves if isinstance(leaf, fx.Node) and isinstance(leaf.meta.get("val"), torch.Tensor)]
    if len(tensors) < 2 or not isinstance(target, torch._ops.OpOverload) or torch.Tag.pointwise in target.tags:
        return 0
    if operation is not None and operation.role in _NONE:
        return 0
    arguments, options = fx.node.map_arg(node.args, _empty), fx.node.map_arg(node.kwargs, _empty)
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            target(*arguments, **options)
    except FAILURES:
        return 0
    return int(counter.get_total_flops()) // 2


def _empty(source: fx.Node) -> Any:
    result = source.meta.get("val")
    if isinstance(result, torch.Tensor):
        return torch.empty(shape_of_one(source), dtype=result.dtype, device="meta")
    return 1
