"""Layers of a captured graph as modules with integer weights."""

from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.graph import value
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.orientation import groups_of, outputs_first
from evo_qnas.networks.capture.sizes import shape_of_one, values_of_one
from evo_qnas.networks.quantization.policy import Policy
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.scheme import Scheme

__all__ = ["LAYERS", "insert_layers", "is_layer", "join_calls", "link_biases", "module_of", "share_steps"]

LAYERS = {Role.CONVOLUTION, Role.TRANSPOSED_CONVOLUTION, Role.LINEAR, Role.EMBEDDING}
# Modules of torch whose steps are alike: all steps have one set of quantizers.
_RECURRENT = ("rnn.GRU", "rnn.LSTM", "rnn.RNN", "rnn.GRUCell", "rnn.LSTMCell", "rnn.RNNCell")


def module_of(graph: fx.GraphModule, node: Any) -> Any:
    """The module that a node calls, None for other nodes."""
    return graph.get_submodule(str(node.target)) if isinstance(node, fx.Node) and node.op == "call_module" else None


def is_layer(graph: fx.GraphModule, node: fx.Node) -> bool:
    """True for a call of a `QuantizedLayer`."""
    return isinstance(module_of(graph, node), QuantizedLayer)


def insert_layers(graph: fx.GraphModule, policy: Policy, scheme: Scheme) -> None:
    """Replaces the layers whose weights do not depend on the input by `QuantizedLayer`s.

    Layers with the same weights have one set of codes, that of the first of them.
    """
    owners: dict[Any, QuantizedLayer] = {}
    for node in list(graph.graph.nodes):
        operation = operation_of(node.target) if node.op == "call_function" else None
        if operation is None or operation.role not in LAYERS or policy.stays_float(node):
            continue
        weight, bias, source = _tensors(node, operation.role)
        if all(value(graph, tensor) is not None for tensor in (weight, bias) if tensor is not None):
            _insert_layer(graph, node, (weight, bias, source), owners, (policy, scheme))


def _tensors(node: fx.Node, role: Role) -> tuple[Any, Any, Any]:
    """Weight, bias and input of a layer."""
    if role is Role.EMBEDDING:
        return node.args[0], None, node.args[1]
    return node.args[1], node.args[2] if len(node.args) > 2 else node.kwargs.get("bias"), node.args[0]


def _insert_layer(
    graph: fx.GraphModule,
    node: fx.Node,
    tensors: tuple[Any, Any, fx.Node],
    owners: dict[Any, QuantizedLayer],
    how: tuple[Policy, Scheme],
) -> None:
    policy, scheme = how
    role = operation_of(node.target).role  # type: ignore[union-attr]  # asked before
    weight, bias, source = value(graph, tensors[0]), value(graph, tensors[1]), tensors[2]
    assert weight is not None  # asked before
    arguments = tuple(_plain(argument) for argument in node.args[2 if role is Role.EMBEDDING else 3 :])
    transposed = role is Role.TRANSPOSED_CONVOLUTION
    if transposed:
        weight = outputs_first(weight, groups_of(arguments))
    block = policy.block_of(node)
    key = (str(tensors[0].target), groups_of(arguments) if transposed else 0)
    owner = owners.get(key)
    layer = QuantizedLayer(
        name=node.name,
        block=block,
        bits=policy.bits_of(block).weight if owner is None else owner.bits,
        operation=node.target,
        arguments=arguments,
        weight=weight,
        bias=bias,
        macs=_macs(node, role, weight, source),
        scheme=scheme,
        weights_of=owner,
    )
    owners.setdefault(key, layer)
    target = f"layer_{node.name}"
    graph.add_submodule(target, layer)
    with graph.graph.inserting_after(node):
        inserted = graph.graph.call_module(target, (source,))
    bias_name = "" if tensors[1] is None else str(tensors[1].target)
    inserted.meta = {**node.meta, "name": node.name, "macs": layer.macs, "bias": bias_name}
    node.replace_all_uses_with(inserted)
    graph.graph.erase_node(node)


def _macs(node: fx.Node, role: Role, weight: torch.Tensor, source: fx.Node) -> int:
    """Multiplications for one image: each weight once for each position of the output, transposed of the input."""
    if role is Role.EMBEDDING:
        return 0
    if role is Role.TRANSPOSED_CONVOLUTION:
        return weight.numel() * (values_of_one(source) // shape_of_one(source)[1])
    return weight.numel() * (values_of_one(node) // len(weight))


def _plain(argument: Any) -> Any:
    return list(argument) if isinstance(argument, (list, tuple)) else argument


def link_biases(graph: fx.GraphModule, producer_of: Any) -> None:
    """Gives each layer the quantizer of its input, whose scale its bias needs."""
    for node in graph.graph.nodes:
        layer = module_of(graph, node)
        if isinstance(layer, QuantizedLayer) and layer.role is not Role.EMBEDDING:
            producer = module_of(graph, producer_of(node.args[0]))
            layer.source = [producer] if isinstance(producer, ActivationQuantizer) else []


def join_calls(graph: fx.GraphModule) -> None:
    """Lets calls with the same weights, bias and quantizer of the input be calls of one layer, with one bias."""
    first: dict[Any, str] = {}
    for node in graph.graph.nodes:
        layer = module_of(graph, node)
        if not isinstance(layer, QuantizedLayer):
            continue
        key = (id(layer.owner), layer.operation, str(layer.arguments), node.meta["bias"], *map(id, layer.source))
        target = first.setdefault(key, str(node.target))
        joined = graph.get_submodule(target)
        if isinstance(joined, QuantizedLayer) and joined is not layer:
            node.target = target
            joined.calls, joined.macs = joined.calls + 1, joined.macs + layer.macs


def share_steps(graph: fx.GraphModule, producer_of: Any) -> None:
    """Lets the steps of a recurrent module share their quantizers, as they share their weights."""
    order = {node: index for index, node in enumerate(graph.graph.nodes)}
    nodes = list(order)
    calls: dict[Any, list[fx.Node]] = {}
    for node in nodes:
        layer = module_of(graph, node)
        if isinstance(layer, QuantizedLayer) and _is_recurrent(node):
            calls.setdefault((id(layer.owner), layer.operation), []).append(node)
    for steps in calls.values():
        if len(steps) < 2:
            continue
        first = nodes[order[steps[0]] : order[steps[1]]]
        for step in steps[1:]:
            _share(graph, producer_of(steps[0].args[0]), producer_of(step.args[0]))
            for one, other in zip(first, nodes[order[step] :], strict=False):
                if _kind(graph, one) != _kind(graph, other):
                    break
                _share(graph, one, other)


def _is_recurrent(node: fx.Node) -> bool:
    """True for an operation of a recurrent module of torch itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return bool(stack) and str(stack[-1][1]).removesuffix("'>").endswith(_RECURRENT)


def _kind(graph: fx.GraphModule, node: fx.Node) -> Any:
    return type(module_of(graph, node)) if node.op == "call_module" else (node.op, node.target)


def _share(graph: fx.GraphModule, one: fx.Node, other: fx.Node) -> None:
    """Lets a node call the quantizer that another one calls."""
    if isinstance(module_of(graph, one), ActivationQuantizer) and isinstance(
        module_of(graph, other), ActivationQuantizer
    ):
        other.target = one.target
