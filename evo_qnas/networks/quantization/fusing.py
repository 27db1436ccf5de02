"""Copies of a quantized graph: an independent one, and one that runs with fewer passes over its maps."""

import copy
from collections.abc import Callable

import torch
from torch import fx

from evo_qnas.networks.capture.graph import ACTIVATIONS, limits_of, value
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


def fuse(graph: fx.GraphModule) -> Callable[[fx.GraphModule, torch.Tensor], torch.Tensor]:
    """The function that runs `graph` with its own modules, its quantizers doing the work of a ReLU before them."""
    fused = fx.GraphModule(graph, _nodes(graph))
    for node in list(fused.graph.nodes):
        quantizer = fused.get_submodule(str(node.target)) if node.op == "call_module" else None
        source = node.args[0] if node.args else None
        if not isinstance(quantizer, ActivationQuantizer) or not isinstance(source, fx.Node):
            continue
        if source.op == "call_function" and source.target in ACTIVATIONS and len(source.users) == 1:
            quantizer.limits = limits_of(source)
            node.replace_input_with(source, source.args[0])
            fused.graph.erase_node(source)
    fused.recompile()
    running: Callable[[fx.GraphModule, torch.Tensor], torch.Tensor] = type(fused).forward
    return running


def clone(graph: fx.GraphModule) -> fx.GraphModule:
    """A copy of `graph` with modules and tensors of its own."""
    parts = {
        str(node.target): graph.get_submodule(str(node.target)) if node.op == "call_module" else value(graph, node)
        for node in graph.graph.nodes
        if node.op in {"call_module", "get_attr"}
    }
    # All at once: layers know the quantizers of their inputs.
    copied = fx.GraphModule(copy.deepcopy(parts), _nodes(graph))
    copied.meta |= graph.meta
    return copied


def _nodes(graph: fx.GraphModule) -> fx.Graph:
    """A copy of the operations alone."""
    nodes = fx.Graph()
    nodes.output(nodes.graph_copy(graph.graph, {}))
    nodes.set_codegen(graph.graph._codegen)
    return nodes
