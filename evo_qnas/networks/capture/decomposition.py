"""Operations that no registry knows, taken apart into those that it knows; nothing writes in place any more."""

from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.exporting import without_warnings
from evo_qnas.networks.capture.operations.operation import ATEN
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.recurrent import gru, lstm, rnn_relu, rnn_tanh

__all__ = ["decomposed", "plain_of"]

# One round takes all levels apart but for what a kernel of torch's own hides, which the next one sees.
_ROUNDS = 3


def decomposed(program: Any) -> Any:
    """A program in which every operation is known, or cannot be taken apart; itself where that is so already."""
    before: set[Any] | None = None
    for _ in range(_ROUNDS):
        unknown = _unknown(program)
        if not unknown or unknown == before:
            break
        before = unknown
        with without_warnings():
            program = program.run_decompositions(_table())
    return program


def plain_of(target: Any) -> Any:
    """The overload that gives what `target` writes in place, or `target` itself.

    A view becomes a reshape: tensors may lie otherwise in memory than while they were captured.
    """
    if target is ATEN.view.default:
        return ATEN.reshape.default
    operation = operation_of(target)
    if operation is not None and target in operation.plain:
        return operation.plain[target]
    if not isinstance(target, torch._ops.OpOverload) or not target._schema.is_mutable:
        return target
    name = target._schema.name.split("::")[1]
    packet = getattr(ATEN, name[:-1], None) if name.endswith("_") and not name.endswith("__") else None
    overload = target._overloadname
    return getattr(packet, overload) if packet is not None and overload in packet.overloads() else target


def _unknown(program: Any) -> set[Any]:
    """What is to be taken apart: operations that are not registered, regions of a program, writing into tensors."""
    found: set[Any] = set()
    standard: Any = None
    for node in _working(program):
        target: Any = node.target
        if isinstance(target, torch._ops.HigherOrderOperator) or _writes(node):
            found.add(target)
        if not isinstance(target, torch._ops.OpOverload) or operation_of(plain_of(target)) is not None:
            continue
        standard = torch.export.default_decompositions() if standard is None else standard
        implicit = torch._C._dispatch_has_kernel_for_dispatch_key(target.name(), "CompositeImplicitAutograd")
        if target in _OURS or (target not in _KEPT and (implicit or target in standard)):
            found.add(target)
    return found


def _table() -> dict[Any, Any]:
    """What takes operations apart that are not registered."""
    standard = torch.export.default_decompositions()
    table = {target: standard[target] for target in list(standard.keys())}
    return {t: rule for t, rule in table.items() if operation_of(t) is None and t not in _KEPT} | _OURS


_OURS = {
    ATEN.gru.input: gru,
    ATEN.lstm.input: lstm,
    ATEN.rnn_tanh.input: rnn_tanh,
    ATEN.rnn_relu.input: rnn_relu,
}
# Layers and what capture rewrites itself, and BatchNorm as it is after one round.
_KEPT = {
    *(ATEN.embedding.default, ATEN.conv3d.default, ATEN._native_batch_norm_legit_no_training.default),
    *(ATEN.zeros.default, ATEN.ones.default, ATEN.full.default, ATEN.zeros_like.default, ATEN.ones_like.default),
    *(ATEN.full_like.default, ATEN.new_zeros.default, ATEN.new_ones.default, ATEN.new_full.default),
    *(ATEN._to_copy.default, ATEN.to.dtype_layout, ATEN.to.device),
}


def _working(program: Any) -> list[fx.Node]:
    """Calls that depend on an input of the user; what depends on none is folded later as it is."""
    inputs = set(program.graph_signature.user_inputs)
    reached: set[fx.Node] = set()
    for node in program.graph.nodes:
        entered = node.op == "placeholder" and node.name in inputs
        if entered or (node.op == "call_function" and any(source in reached for source in node.all_input_nodes)):
            reached.add(node)
    return [node for node in reached if node.op == "call_function"]


def _writes(node: fx.Node) -> bool:
    """True where a node writes into a tensor that others may look at: a plain operation would not do the same."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return False
    if plain_of(node.target) is node.target:
        return True
    source = node.args[0]
    if not isinstance(source, fx.Node) or _looks(source):
        return True
    return any(_looks(reader) for reader in source.users if reader is not node)


def _looks(node: fx.Node) -> bool:
    """True for a view of another tensor."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and not schema.is_mutable and any(r.alias_info is not None for r in schema.returns)
