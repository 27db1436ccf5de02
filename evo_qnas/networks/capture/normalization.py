"""BatchNorm of a captured graph, folded into the layer before it."""

import torch
from torch import fx

from evo_qnas.networks.capture.operations.operation import ATEN, Role
from evo_qnas.networks.capture.operations.registry import Overloads
from evo_qnas.networks.capture.tensors import put, value

__all__ = ["fold_batch_norm"]

_CONVOLUTIONS = Overloads(Role.CONVOLUTION)


def fold_batch_norm(graph: fx.GraphModule) -> None:
    """Folds each BatchNorm that follows a convolution as its only reader into the convolution's weight and bias."""
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or node.target is not ATEN.batch_norm.default:
            continue
        source = node.args[0]
        if source.op != "call_function" or source.target not in _CONVOLUTIONS or len(source.users) != 1:
            continue
        weight = value(graph, source.args[1])
        if weight is None:
            continue
        bias = value(graph, source.args[2]) if len(source.args) > 2 else None
        gamma, beta, mean, variance = (value(graph, argument) for argument in node.args[1:5])
        if mean is None or variance is None:
            continue
        factor = torch.rsqrt(variance + float(node.args[7]))
        factor = factor if gamma is None else factor * gamma
        shift = -mean if bias is None else bias - mean
        folded = shift * factor + (0.0 if beta is None else beta)
        name = f"folded_{node.name}"
        shape = (-1,) + (1,) * (weight.ndim - 1)
        put(graph, f"{name}_weight", weight * factor.view(shape), learns=True)
        put(graph, f"{name}_bias", folded, learns=True)
        with graph.graph.inserting_before(source):
            new_weight = graph.graph.get_attr(f"{name}_weight")
            new_bias = graph.graph.get_attr(f"{name}_bias")
        source.args = (source.args[0], new_weight, new_bias, *source.args[3:])
        node.replace_all_uses_with(source)
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()
