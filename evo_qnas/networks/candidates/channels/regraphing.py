"""A block as a graph of its operations with other numbers, its layers being modules as before."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from evo_qnas.networks.candidates.channels.rewriting import Cut, Ragged, Rewritten

ATEN = torch.ops.aten
# Layers whose module computes what the operation does: the operation of each, and how many of its arguments are the
# module's own parameters and buffers.
_LAYERS: dict[type[nn.Module], str] = {
    nn.Conv1d: "conv1d",
    nn.Conv2d: "conv2d",
    nn.Conv3d: "conv3d",
    nn.Linear: "linear",
    nn.BatchNorm1d: "batch_norm",
    nn.BatchNorm2d: "batch_norm",
    nn.BatchNorm3d: "batch_norm",
    nn.LayerNorm: "layer_norm",
    nn.GroupNorm: "group_norm",
}


def regraphed(
    narrow: nn.Module, operations: Sequence[Rewritten], others: Sequence[Rewritten], cuts: tuple[Cut, Cut]
) -> nn.Module:
    """The graph of a block's operations, with parameters, buffers and layers of `narrow` under their names.

    Args:
        narrow: the block's modules with fewer weights.
        operations: for a batch of one size.
        others: the same for a batch of another size.
        cuts: of both.

    Raises:
        Ragged: numbers do not grow with the batch, or the operations differ by its size.
    """
    if [operation.target for operation in operations] != [operation.target for operation in others]:
        raise Ragged
    traces = [cut.state.trace for cut in cuts]
    graph = fx.Graph()
    source = graph.placeholder("x")
    count = graph.call_function(ATEN.sym_size.int, (source, 0))
    places: dict[fx.Node, Any] = {}
    constants: dict[str, torch.Tensor] = {}

    def node_of(node: fx.Node) -> Any:
        if node in places:
            return places[node]
        if node.op == "placeholder":
            return source
        name = traces[0].names.get(str(node.target))
        if name is None:
            name = f"constant_{len(constants)}"
            constants[name] = getattr(traces[0].graph, str(node.target))
        places[node] = graph.get_attr(name)
        return places[node]

    def number_of(one: Any, other: Any) -> Any:
        if isinstance(one, fx.Node):
            return node_of(one)
        if isinstance(one, (list, tuple)):
            return type(one)([number_of(a, b) for a, b in zip(one, other, strict=True)])
        if one == other or isinstance(one, bool) or not isinstance(one, int):
            return one
        factor, rest = divmod(one, traces[0].batch)
        if rest or factor * traces[1].batch != other:
            raise Ragged
        return count if factor == 1 else graph.call_function(operator.mul, (count, factor))

    for operation, other in zip(operations, others, strict=True):
        layer = _layer(narrow, operation, traces[0].names)
        if layer is not None:
            places[operation.node] = graph.call_module(layer, (node_of(operation.args[0]),))
            continue
        args = number_of(operation.args, other.args)
        kwargs = {name: number_of(value, other.kwargs[name]) for name, value in operation.kwargs.items()}
        places[operation.node] = graph.call_function(operation.target, args, kwargs)
    (output,) = (node for node in traces[0].graph.graph.nodes if node.op == "output")
    graph.output(node_of(output.args[0]))
    for name, tensor in constants.items():
        narrow.register_buffer(name, tensor, persistent=False)
    made = fx.GraphModule(narrow, graph, class_name=f"Narrow{type(narrow).__name__}")
    made.graph.eliminate_dead_code()
    made.recompile()
    return made.eval()


def _layer(narrow: nn.Module, operation: Rewritten, names: Any) -> str | None:
    """The name of the module that an operation is, None where it is another's or a part of one."""
    parameters = [
        names.get(str(argument.target))
        for argument in (*operation.args, *operation.kwargs.values())
        if isinstance(argument, fx.Node) and argument.op == "get_attr"
    ]
    owners = {None if name is None else name.rpartition(".")[0] for name in parameters}
    if len(owners) != 1 or None in owners or not isinstance(operation.args[0], fx.Node):
        return None
    (owner,) = owners
    if not owner:
        return None
    layer = narrow.get_submodule(owner)
    wanted = _LAYERS.get(type(layer))
    own = sum(1 for tensor in (*layer.parameters(False), *layer.buffers(False)) if tensor.is_floating_point())
    plain = getattr(layer, "padding_mode", "zeros") == "zeros"
    called = str(operation.target).split(".")[1] if wanted else ""
    return owner if wanted is not None and called == wanted and own == len(parameters) and plain else None
