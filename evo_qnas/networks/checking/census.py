"""The operations of a quantized network: how many, what they cost, and how each runtime takes them."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import fx

from evo_qnas.networks.capture.graph import float_part_name
from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.checking.lines import line_of_trace
from evo_qnas.networks.checking.report import IN_FLOAT, IN_INTEGERS, NOT_AT_ALL, OperationRow
from evo_qnas.networks.export import Runtime
from evo_qnas.networks.quantization.costs import layer_bytes
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

# Roles whose operations work on codes themselves.
_ON_CODES = frozenset({Role.CONVOLUTION, Role.LINEAR, Role.ACTIVATION, Role.LAYOUT, Role.SHAPE})
_INPUT = "input"


@final
@dataclass(slots=True)
class _Kind:
    """What was counted of a kind of operation so far."""

    operation: Operation | None
    number: int = 0
    macs: int = 0
    size_bytes: int = 0
    line: str = ""
    nodes: list[str] = field(default_factory=list)


def census(
    network: QuantizedNetwork,
    runtimes: Mapping[str, Runtime],
    refused: Mapping[str, Mapping[str, str]],
    *,
    taken: Collection[str] = (),
) -> tuple[OperationRow, ...]:
    """One row for each kind of operation, in the order in which they first stand in the network.

    Args:
        network: quantized.
        runtimes: those that are installed, by name.
        refused: by runtime the reason for each node that it refused, by the name of the node.
        taken: names of the runtimes that took the whole network.
    """
    kinds = _counted(network)
    macs = max(1, sum(kind.macs for kind in kinds.values()))
    size = max(1, sum(kind.size_bytes for kind in kinds.values()))
    rows = []
    for name, kind in kinds.items():
        found, reasons = {}, {}
        for key, runtime in runtimes.items():
            reason = _reason(kind, refused.get(key, {}))
            found[key] = NOT_AT_ALL if reason else handling(name, kind.operation, runtime)
            if reason:
                reasons[key] = reason
            elif found[key] == NOT_AT_ALL and key in taken:
                found[key] = IN_FLOAT
            elif found[key] == NOT_AT_ALL:
                reasons[key] = f"there is no translation to {runtime.title}"
        rows.append(
            OperationRow(
                operation=name,
                role="unknown" if kind.operation is None and name != _INPUT else _role(kind.operation),
                number=kind.number,
                macs=kind.macs,
                size_bytes=kind.size_bytes,
                macs_share=kind.macs / macs,
                bytes_share=kind.size_bytes / size,
                runtimes=found,
                reasons=reasons,
                line=kind.line,
            )
        )
    return tuple(rows)


def handling(name: str, operation: Operation | None, runtime: Runtime) -> str:
    """How a runtime takes an operation: in integers, in float between quantized tensors, or not at all."""
    if name == _INPUT:
        return IN_INTEGERS
    if operation is None or not runtime.translates(operation):
        return NOT_AT_ALL
    return IN_INTEGERS if operation.role in _ON_CODES or operation.integer is not None else IN_FLOAT


def operation_name(target: Any) -> str:
    """The name of an overload's operation in the registry, else that of the overload."""
    operation = operation_of(target)
    return str(target) if operation is None else operation.name


def node_named(network: QuantizedNetwork, names: Sequence[str]) -> fx.Node | None:
    """The first node of a network whose name, or whose layer's name, is one of `names`."""
    for node in network.graph.graph.nodes:
        if node.name in names or node.meta.get("name") in names:
            found: fx.Node = node
            return found
    return None


def target_of(network: QuantizedNetwork, node: fx.Node) -> Any:
    """The overload that a node computes, also where it is a quantized layer."""
    if node.op != "call_module":
        return node.target
    module = network.graph.get_submodule(str(node.target))
    return module.operation if isinstance(module, QuantizedLayer) else node.target


def _counted(network: QuantizedNetwork) -> dict[str, _Kind]:
    """Kinds of operations by name."""
    kinds: dict[str, _Kind] = {}
    graph, seen = network.graph, set[int]()

    def kind_of(node: fx.Node) -> _Kind:
        target = target_of(network, node)
        if node.op == "get_attr":
            node = next(iter(node.users))
            target = target_of(network, node)
        name = _INPUT if node.op == "placeholder" else operation_name(target)
        return kinds.setdefault(name, _Kind(operation=operation_of(target), line=_line(node)))

    for node in graph.graph.nodes:
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        known = id(module) in seen
        seen.add(id(module))
        if isinstance(module, ActivationQuantizer):
            kind_of(_behind(network, node)).size_bytes += 0 if known else module.scheme.activation_bytes()
        elif isinstance(module, QuantizedLayer):
            kind = kind_of(node)
            kind.number, kind.macs = kind.number + 1, kind.macs + (0 if known else module.macs)
            kind.size_bytes += 0 if known else layer_bytes(module)
            kind.nodes += [node.name, module.name]
        elif node.op == "placeholder" or (_is_operation(node) and _gives_tensor(node)):
            kind = kind_of(node)
            kind.number, kind.macs = kind.number + 1, kind.macs + int(node.meta.get("macs", 0))
            kind.nodes.append(node.name)
    _count_float_parts(network, kind_of)
    return kinds


def _count_float_parts(network: QuantizedNetwork, kind_of: Callable[[fx.Node], _Kind]) -> None:
    """Adds the bytes of what stays in float, each once, to the first operation that reads it."""
    parts, counted = network.float_parts, set()
    for node in network.graph.graph.nodes:
        name = float_part_name(node)
        if node.op == "get_attr" and name in parts and name not in counted:
            counted.add(name)
            kind_of(next(iter(node.users))).size_bytes += parts[name].numel() * parts[name].element_size()


def _behind(network: QuantizedNetwork, node: fx.Node) -> fx.Node:
    """The node whose values a quantizer rounds."""
    source: Any = node.args[0]
    while source.target is operator.getitem or isinstance(_module(network, source), ActivationQuantizer):
        source = source.args[0]
    found: fx.Node = source
    return found


def _module(network: QuantizedNetwork, node: fx.Node) -> Any:
    return network.graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def _line(node: fx.Node) -> str:
    return line_of_trace(node.meta.get("stack_trace"))


def _is_operation(node: fx.Node) -> bool:
    return node.op == "call_function" and node.target is not operator.getitem


def _gives_tensor(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) or (isinstance(value, (tuple, list)) and bool(value))


def _reason(kind: _Kind, refused: Mapping[str, str]) -> str:
    return next((refused[name] for name in kind.nodes if name in refused), "")


def _role(operation: Operation | None) -> str:
    return _INPUT if operation is None else operation.role.value
