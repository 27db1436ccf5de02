"""BatchNorm of a captured graph: folded into the layer before or behind it, else a factor and a shift per channel."""

from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.constants import erase_unread
from evo_qnas.networks.capture.operations.operation import ATEN, Role, arguments_of
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.orientation import groups_of, inputs_first, outputs_first
from evo_qnas.networks.capture.tensors import put, value

__all__ = ["fold_batch_norm"]

_BEFORE = {Role.CONVOLUTION, Role.TRANSPOSED_CONVOLUTION, Role.LINEAR}


def fold_batch_norm(graph: fx.GraphModule) -> None:
    """Folds each BatchNorm into the layer whose only reader it is, or into the only layer that reads it.

    A convolution behind it takes it only where it pads nothing: zeros of its rim are none of the values that were
    scaled. A layer whose weights serve several calls takes it only where the same BatchNorm follows all of them. What
    is left becomes a product with a factor and a sum with a shift, two float parts.
    """
    done: dict[Any, tuple[str, str]] = {}
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or node.target is not ATEN.batch_norm.default:
            continue
        factor_and_shift = _affine(graph, node)
        if factor_and_shift is None:
            continue
        source = node.args[0]
        if _folds(graph, source) and _same_for_all(source, node):
            _fold_before(graph, source, node, done)
        elif not _fold_behind(graph, node, factor_and_shift):
            _replace(graph, node, factor_and_shift, done)
    erase_unread(graph)


def _affine(graph: fx.GraphModule, node: fx.Node) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Factor and shift of each channel; None where the statistics are those of the batch."""
    gamma, beta, mean, variance = (value(graph, argument) for argument in node.args[1:5])
    if mean is None or variance is None:
        return None
    factor = torch.rsqrt(variance + float(node.args[7]))  # type: ignore[arg-type]  # a number
    factor = factor if gamma is None else factor * gamma
    return factor.detach(), (-mean * factor + (0.0 if beta is None else beta)).detach()


def _folds(graph: fx.GraphModule, source: Any) -> bool:
    """True where a layer's weights can take the BatchNorm behind it: its only reader, on the same axis."""
    operation = operation_of(source.target) if source.op == "call_function" else None
    if operation is None or operation.role not in _BEFORE or len(source.users) != 1:
        return False
    if operation.role is Role.LINEAR and source.meta["val"].ndim != 2:
        return False
    bias = source.args[2] if len(source.args) > 2 else None
    return value(graph, source.args[1]) is not None and (bias is None or value(graph, bias) is not None)


def _same_for_all(source: fx.Node, node: fx.Node) -> bool:
    """True where all calls with a layer's weights are followed by this BatchNorm."""
    weight: Any = source.args[1]
    names = [str(argument) for argument in _names(node.args[1:])]
    calls = [reader for other in weight.graph.nodes if _is(other, weight) for reader in other.users]
    for call in calls:
        following = next(iter(call.users), None)
        if call.target is not source.target or len(call.users) != 1 or following is None:
            return False
        if following.target is not node.target or [str(a) for a in _names(following.args[1:])] != names:
            return False
    return True


def _is(node: fx.Node, weight: fx.Node) -> bool:
    return node.op == "get_attr" and node.target == weight.target


def _names(arguments: Any) -> list[Any]:
    """Arguments with the names of tensors for their nodes."""
    return [argument.target if isinstance(argument, fx.Node) else argument for argument in arguments]


def _fold_before(graph: fx.GraphModule, source: fx.Node, node: fx.Node, done: dict[Any, tuple[str, str]]) -> None:
    """Scales the weights and the bias of the layer before."""
    key = (*map(str, _names(source.args[1:3])), *map(str, _names(node.args[1:])))
    if key not in done:
        done[key] = (f"folded_{node.name}_weight", f"folded_{node.name}_bias")
        weight, bias = value(graph, source.args[1]), value(graph, source.args[2] if len(source.args) > 2 else None)
        gamma, beta, mean, variance = (value(graph, argument) for argument in node.args[1:5])
        assert weight is not None  # asked before
        assert mean is not None  # asked before
        factor = torch.rsqrt(variance + float(node.args[7]))  # type: ignore[arg-type, operator]  # statistics are there
        factor = factor if gamma is None else factor * gamma
        shift = -mean if bias is None else bias - mean
        folded = shift * factor + (0.0 if beta is None else beta)
        put(graph, done[key][0], _scaled(source, weight, factor), learns=True)
        put(graph, done[key][1], folded, learns=True)
    with graph.graph.inserting_before(source):
        new_weight, new_bias = (graph.graph.get_attr(name) for name in done[key])
    source.args = (source.args[0], new_weight, new_bias, *source.args[3:])
    node.replace_all_uses_with(source)
    graph.graph.erase_node(node)


def _scaled(source: fx.Node, weight: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Weights with each output channel times its factor."""
    operation = operation_of(source.target)
    shape = (-1,) + (1,) * (weight.ndim - 1)
    if operation is None or operation.role is not Role.TRANSPOSED_CONVOLUTION:
        return weight * factor.view(shape)
    groups = groups_of(source.args[3:])
    return inputs_first(outputs_first(weight, groups) * factor.view(shape), groups)


def _fold_behind(graph: fx.GraphModule, node: fx.Node, affine: tuple[torch.Tensor, torch.Tensor]) -> bool:
    """Folds into the layer that is its only reader; gives False where there is none that can take it."""
    reader = next(iter(node.users)) if len(node.users) == 1 else None
    operation = operation_of(reader.target) if reader is not None and reader.op == "call_function" else None
    if reader is None or operation is None or operation.role not in {Role.CONVOLUTION, Role.LINEAR}:
        return False
    weight, bias = value(graph, reader.args[1]), value(graph, reader.args[2] if len(reader.args) > 2 else None)
    if reader.args[0] is not node or weight is None or len(reader.args[1].users) != 1:  # type: ignore[union-attr]  # a node
        return False
    groups = 1
    if operation.role is Role.CONVOLUTION:
        arguments = arguments_of(reader)
        padding, groups = arguments[4], int(arguments[6])
        pads = padding == "same" if isinstance(padding, str) else any(padding)
        if pads:
            return False
    elif node.meta["val"].ndim != 2:
        return False
    factor, shift = (part.view(groups, 1, -1).expand(-1, len(weight) // groups, -1).flatten(0, 1) for part in affine)
    shape = (*factor.shape, *(1,) * (weight.ndim - 2))
    added = (weight * shift.view(shape)).flatten(1).sum(dim=1)
    name = f"folded_{node.name}"
    put(graph, f"{name}_weight", weight * factor.view(shape), learns=True)
    put(graph, f"{name}_bias", added if bias is None else added + bias, learns=True)
    with graph.graph.inserting_before(reader):
        new_weight, new_bias = (graph.graph.get_attr(f"{name}_{part}") for part in ("weight", "bias"))
    reader.args = (node.args[0], new_weight, new_bias, *reader.args[3:])
    graph.graph.erase_node(node)
    return True


def _replace(
    graph: fx.GraphModule,
    node: fx.Node,
    affine: tuple[torch.Tensor, torch.Tensor],
    done: dict[Any, tuple[str, str]],
) -> None:
    """A product with a factor and a sum with a shift per channel; calls of one BatchNorm share them."""
    key = tuple(map(str, _names(node.args[1:])))
    if key not in done:
        done[key] = (f"folded_{node.name}_factor", f"folded_{node.name}_shift")
        for name, part in zip(done[key], affine, strict=True):
            put(graph, name, part.view(-1, *(1,) * (node.meta["val"].ndim - 2)), learns=True)
    factor, shift = done[key]
    with graph.graph.inserting_before(node):
        scaled = graph.graph.call_function(ATEN.mul.Tensor, (node.args[0], graph.graph.get_attr(factor)))
        moved = graph.graph.call_function(ATEN.add.Tensor, (scaled, graph.graph.get_attr(shift)))
    scaled.meta, moved.meta = dict(node.meta), dict(node.meta)
    node.replace_all_uses_with(moved)
    graph.graph.erase_node(node)
