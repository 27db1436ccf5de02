"""Nodes of a captured graph replaced by simpler ones that mean the same."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.constants import erase_unread
from evo_qnas.networks.capture.decomposition import plain_of
from evo_qnas.networks.capture.operations.operation import ATEN
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.tensors import put, value

__all__ = ["make_plain", "products_to_linear", "simplify"]


def make_plain(graph: fx.GraphModule) -> None:
    """Replaces operations that write in place by plain ones, so that quantizers may stand between them.

    Up-sampling of a single value per channel (a pooled map) becomes what it is, a copy to every place. A cast to the
    type of another tensor names that type, so that it does not depend on the tensor.
    """
    for node in graph.graph.nodes:
        if node.op != "call_function":
            continue
        node.target = plain_of(node.target)
        if node.target in {ATEN.type_as.default, ATEN.to.other}:
            node.target, node.args, node.kwargs = ATEN.to.dtype, (node.args[0], node.meta["val"].dtype), {}
        operation = operation_of(node.target)
        resizes = operation is not None and operation.resizes
        if resizes and tuple(node.args[0].meta["val"].shape[2:]) == (1,) * (node.args[0].meta["val"].ndim - 2):
            sizes = node.meta["val"].shape[2:]
            node.target, node.args, node.kwargs = ATEN.expand.default, (node.args[0], [-1, -1, *sizes]), {}
    graph.recompile()


def simplify(graph: fx.GraphModule) -> None:
    """Removes what does nothing: casts to the same type, slices of everything, sums with 0.

    BatchNorm gets one name.
    """
    for node in list(graph.graph.nodes):
        rule = _RULES.get(node.target) if node.op == "call_function" else None
        if rule is not None:
            rule(graph, node)
    erase_unread(graph)


def products_to_linear(graph: fx.GraphModule) -> None:
    """Makes products with a constant matrix linear layers, whose weights become integers."""
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or node.target not in _PRODUCTS:
            continue
        bias, source, matrix = _PRODUCTS[node.target](node)
        weight = value(graph, matrix)
        shift = None if bias is None else value(graph, bias)
        plain = all(node.kwargs.get(name, 1) == 1 for name in ("alpha", "beta"))
        if weight is None or weight.ndim != 2 or not plain or source.meta["val"].ndim < 2:
            continue
        if bias is not None and (shift is None or tuple(shift.shape) != (weight.shape[1],)):
            continue
        target = f"transposed_{str(matrix.target).replace('.', '_')}"
        if not hasattr(graph, target):
            put(graph, target, weight.t(), learns=isinstance(weight, torch.nn.Parameter))
        with graph.graph.inserting_before(node):
            rows = graph.graph.get_attr(target)
        node.target, node.kwargs = ATEN.linear.default, {}
        node.args = (source, rows) if bias is None else (source, rows, bias)
    erase_unread(graph)


_PRODUCTS: Mapping[Any, Callable[[fx.Node], tuple[Any, Any, Any]]] = {
    ATEN.mm.default: lambda node: (None, node.args[0], node.args[1]),
    ATEN.matmul.default: lambda node: (None, node.args[0], node.args[1]),
    ATEN.addmm.default: lambda node: (node.args[0], node.args[1], node.args[2]),
}


def _drop_cast(_graph: fx.GraphModule, node: fx.Node) -> None:
    source = node.args[0]
    if isinstance(source, fx.Node) and source.meta["val"].dtype == node.meta["val"].dtype:
        node.replace_all_uses_with(source)


def _drop_slice(_graph: fx.GraphModule, node: fx.Node) -> None:
    source: Any = node.args[0]
    whole = len(node.args) < 3 or node.args[2] in {None, 0}
    step = node.args[4] if len(node.args) > 4 else 1
    if whole and step == 1 and str(source.meta["val"].shape) == str(node.meta["val"].shape):
        node.replace_all_uses_with(source)


def _drop_neutral(_graph: fx.GraphModule, node: fx.Node) -> None:
    """Sums with the number 0, and products with the number 1, of a tensor that they leave as it is."""
    source, number = node.args[:2]
    if not isinstance(source, fx.Node) or isinstance(number, fx.Node):
        return
    before, after = source.meta["val"], node.meta["val"]
    alike = str(before.shape) == str(after.shape) and before.dtype == after.dtype
    if alike and number == _NEUTRAL[node.target] and "rounding_mode" not in node.kwargs:
        node.replace_all_uses_with(source)


# The number with which an operation changes nothing.
_NEUTRAL: Mapping[Any, int] = {
    **dict.fromkeys((ATEN.add.Tensor, ATEN.add.Scalar, ATEN.sub.Tensor, ATEN.sub.Scalar), 0),
    **dict.fromkeys((ATEN.mul.Tensor, ATEN.mul.Scalar, ATEN.div.Tensor, ATEN.div.Scalar), 1),
}


def _drop_copy(graph: fx.GraphModule, node: fx.Node) -> None:
    """What is written over a tensor, in its place: spread to its size."""
    source = node.args[1]
    if not isinstance(source, fx.Node) or source.meta["val"].dtype != node.meta["val"].dtype:
        return
    if str(source.meta["val"].shape) == str(node.meta["val"].shape):
        node.replace_all_uses_with(source)
    elif all(isinstance(size, int) for size in node.meta["val"].shape):
        node.target, node.args, node.kwargs = ATEN.expand.default, (source, list(node.meta["val"].shape)), {}


def _drop_scatter(_graph: fx.GraphModule, node: fx.Node) -> None:
    """What is written over all places of a tensor, in its place."""
    source, piece = node.args[:2]
    if not isinstance(source, fx.Node) or not isinstance(piece, fx.Node):
        return
    first, step = node.args[3] if len(node.args) > 3 else None, node.args[5] if len(node.args) > 5 else 1
    before, after = piece.meta["val"], node.meta["val"]
    if first in {None, 0} and step == 1 and str(before.shape) == str(after.shape) and before.dtype == after.dtype:
        node.replace_all_uses_with(piece)


def _name_batch_norm(graph: fx.GraphModule, node: fx.Node) -> None:
    """The operation of evaluation mode, which gives three tensors of which one is read."""
    source, weight, bias, mean, variance, momentum, epsilon = node.args
    with graph.graph.inserting_before(node):
        new = graph.graph.call_function(
            ATEN.batch_norm.default, (source, weight, bias, mean, variance, False, momentum, epsilon, False)
        )
    new.meta = {**node.meta, "val": node.meta["val"][0]}
    for reader in list(node.users):
        if reader.args[1] == 0:
            reader.replace_all_uses_with(new)


def _filled(graph: fx.GraphModule, node: fx.Node) -> None:
    """A tensor of one number, whose size is that of the batch: one number spread to that size."""
    if not node.all_input_nodes:
        return
    result, name = node.meta["val"], str(node.target)
    argument: Any = None
    if "full" in name:
        argument = node.args[2] if "new_full" in name else node.args[1]
    filling: Any = argument if "full" in name else 1 if "ones" in name else 0
    if isinstance(filling, fx.Node):
        return
    shape = [1] * result.ndim
    put(graph, f"filled_{node.name}", torch.full(shape, filling, dtype=result.dtype), learns=False)
    sizes: Any = node.args[1] if "new_" in name else node.args[0]
    with graph.graph.inserting_before(node):
        tensor = graph.graph.get_attr(f"filled_{node.name}")
        tensor.meta["val"] = torch.empty(shape, dtype=result.dtype, device="meta")
        if "_like" in name:
            source: Any = node.args[0]
            sizes = []
            for axis, size in enumerate(result.shape):
                dynamic = not isinstance(size, int)
                sizes.append(graph.graph.call_function(ATEN.sym_size.int, (source, axis)) if dynamic else size)
                if dynamic:
                    sizes[-1].meta["val"] = size
        spread = graph.graph.call_function(ATEN.expand.default, (tensor, list(sizes)))
    spread.meta = dict(node.meta)
    node.replace_all_uses_with(spread)


_RULES: Mapping[Any, Callable[[fx.GraphModule, fx.Node], None]] = {
    ATEN._native_batch_norm_legit_no_training.default: _name_batch_norm,
    **dict.fromkeys((ATEN.to.dtype, ATEN._to_copy.default, ATEN.to.dtype_layout, ATEN.to.device), _drop_cast),
    ATEN.slice.Tensor: _drop_slice,
    **dict.fromkeys(_NEUTRAL, _drop_neutral),
    ATEN.copy.default: _drop_copy,
    ATEN.slice_scatter.default: _drop_scatter,
    **dict.fromkeys((ATEN.zeros.default, ATEN.ones.default, ATEN.full.default), _filled),
    **dict.fromkeys((ATEN.zeros_like.default, ATEN.ones_like.default, ATEN.full_like.default), _filled),
    **dict.fromkeys((ATEN.new_zeros.default, ATEN.new_ones.default, ATEN.new_full.default), _filled),
}
