"""Folding what depends on no input: parametrizations, tables of positions, masks and aranges become one tensor each."""

import operator
from typing import Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from evo_qnas.networks.capture.tensors import replace_by_tensor, value

__all__ = ["erase_unread", "fold_constants", "foldable", "share_tensors"]


def share_tensors(graph: fx.GraphModule) -> None:
    """Lets all `get_attr` nodes of one tensor stand under one name, so that tied weights are one tensor."""
    names: dict[Any, str] = {}
    for node in graph.graph.nodes:
        tensor = value(graph, node)
        if tensor is not None and tensor.numel():
            key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
            node.target = names.setdefault(key, str(node.target))


def fold_constants(graph: fx.GraphModule) -> None:
    """Replaces each tensor that depends on no input by its value; the same computation twice gives one tensor.

    What was computed from a parameter learns, everything else does not. Nodes that draw random numbers stay.
    `meta["folded_macs"]` of the graph is the number of multiplications that are done once here, not in each run.
    """
    constant: dict[fx.Node, Any] = {}
    learns: dict[fx.Node, bool] = {}
    keys: dict[fx.Node, int] = {}
    numbers: dict[Any, int] = {}
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        for node in graph.graph.nodes:
            tensor = value(graph, node)
            if tensor is not None:
                constant[node], learns[node] = tensor, isinstance(tensor, nn.Parameter)
            elif foldable(node) and all(source in constant for source in node.all_input_nodes):
                arguments = fx.node.map_arg(node.args, constant.__getitem__)
                options = fx.node.map_arg(node.kwargs, constant.__getitem__)
                constant[node] = node.target(*arguments, **options)
                learns[node] = any(learns[source] for source in node.all_input_nodes)
            if node in constant:
                keys[node] = numbers.setdefault(_key(node, keys), len(numbers))
    graph.meta["folded_macs"] = graph.meta.get("folded_macs", 0) + int(counter.get_total_flops()) // 2
    made: dict[int, fx.Node] = {}
    for node in list(graph.graph.nodes):
        tensor = constant.get(node)
        read = any(reader not in constant for reader in node.users)
        if node.op != "call_function" or not read or not isinstance(tensor, torch.Tensor):
            continue
        if keys[node] in made:
            node.replace_all_uses_with(made[keys[node]])
            continue
        number = tensor.float() if tensor.dtype is torch.float64 and not tensor.ndim else tensor
        learning = learns[node] and number.is_floating_point()
        made[keys[node]] = replace_by_tensor(graph, node, number, learns=learning)
    erase_unread(graph)


def foldable(node: fx.Node) -> bool:
    """True for a function of nothing but its arguments."""
    if node.op != "call_function" or node.target is operator.getitem:
        return node.op == "call_function"
    schema: Any = getattr(node.target, "_schema", None)
    tags: Any = getattr(node.target, "tags", ())
    if schema is None or schema.is_mutable or torch.Tag.nondeterministic_seeded in tags:
        return False
    return any("Tensor" in str(result.type) for result in schema.returns)


def _key(argument: Any, keys: dict[fx.Node, int], *, inside: bool = False) -> Any:
    """What a constant is computed from: equal keys are equal computations."""
    if isinstance(argument, fx.Node) and inside:
        return keys[argument]
    if isinstance(argument, fx.Node):
        options = tuple(argument.kwargs.items())
        return (argument.op, str(argument.target), _key((argument.args, options), keys))
    if isinstance(argument, (list, tuple)):
        return tuple(_key(item, keys, inside=True) for item in argument)
    return (type(argument).__name__, str(argument))


def erase_unread(graph: fx.GraphModule) -> None:
    """Erases what nothing reads, assertions about tensors too, but for what writes into another tensor."""
    for node in reversed(list(graph.graph.nodes)):
        writes = getattr(getattr(node.target, "_schema", None), "is_mutable", False)
        if node.op in {"call_function", "get_attr"} and not node.users and not writes:
            graph.graph.erase_node(node)
    graph.delete_all_unused_submodules()
    graph.recompile()
