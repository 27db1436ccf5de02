"""Cross-layer equalization: channels between two layers rescaled so that both layers have even ranges in each.

Source: Nagel et al. 2019, Data-Free Quantization through Weight Equalization and Bias Correction, section 4.1 and
equation 11. What differs: a ReLU6 stays as it is, and its pair of layers with it, since a bound for each channel is
nothing that a quantizer of a whole map can cut to, and a ReLU in its place is another network.
"""

from collections.abc import Iterator
from math import inf
from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.graph import ATEN, arguments_of, limits_of, value
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.tensors import put
from evo_qnas.networks.quantization.policy import Policy

__all__ = ["equalize"]

# Rounds over all pairs: a layer in the middle of three belongs to two of them. Factors of the later ones are near 1.
_ROUNDS = 4
# A factor is at most this and at least its inverse: a channel that died is not blown up.
_MOST = 64.0
_LAYERS = {Role.CONVOLUTION, Role.LINEAR}
# Functions f with f(s x) = s f(x) for s > 0, beside a ReLU.
_HOMOGENEOUS = (ATEN.leaky_relu.default,)


def equalize(graph: fx.GraphModule, policy: Policy) -> int:
    """Rescales the channels between all pairs of layers in place, the outputs staying the same; gives how many.

    A pair is a convolution or linear layer whose only reader, behind a ReLU, a leaky ReLU or nothing, is another one,
    both in floats still, with weights of their own, and in the same block: blocks are scored alone.

    Args:
        graph: captured, BatchNorm folded, no layers of codes in it yet.
        policy: which block an operation belongs to, and what stays in floats.
    """
    pairs = list(_pairs(graph, policy))
    for _ in range(_ROUNDS):
        for first, second in pairs:
            _rescale(graph, first, second)
    return len(pairs)


def _pairs(graph: fx.GraphModule, policy: Policy) -> Iterator[tuple[fx.Node, fx.Node]]:
    for node in graph.graph.nodes:
        if not _is_own_layer(graph, node, policy):
            continue
        reader = _only_reader(node)
        if reader is not None and _passes(reader):
            reader = _only_reader(reader)
        if reader is None or not _is_own_layer(graph, reader, policy) or reader.args[0] not in {node, *node.users}:
            continue
        outputs, inputs = value(graph, node.args[1]), value(graph, reader.args[1])
        assert outputs is not None  # layers have weights
        assert inputs is not None
        if policy.block_of(node) == policy.block_of(reader) and len(outputs) == inputs.shape[1] * _groups(reader):
            yield node, reader


def _is_own_layer(graph: fx.GraphModule, node: fx.Node, policy: Policy) -> bool:
    """True for a layer whose weight and bias no other operation reads, and that will have codes."""
    operation = operation_of(node.target) if node.op == "call_function" else None
    if operation is None or operation.role not in _LAYERS or policy.stays_float(node):
        return False
    tensors = [tensor for tensor in _tensors(node) if tensor is not None]
    names = [str(other.target) for other in graph.graph.nodes if other.op == "get_attr"]
    return bool(tensors) and all(
        value(graph, tensor) is not None and len(tensor.users) == 1 and names.count(str(tensor.target)) == 1
        for tensor in tensors
    )


def _only_reader(node: fx.Node) -> fx.Node | None:
    readers = list(node.users)
    return readers[0] if len(readers) == 1 and readers[0].op == "call_function" else None


def _passes(node: fx.Node) -> bool:
    """True for a function that a positive factor passes."""
    operation = operation_of(node.target)
    if operation is not None and operation.role is Role.ACTIVATION:
        return limits_of(node) in {(0.0, inf), (-inf, 0.0)}
    return node.target in _HOMOGENEOUS


def _groups(node: fx.Node) -> int:
    """Groups of a convolution, 1 for a linear layer."""
    names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]  # an operation
    return int(arguments_of(node)[names.index("groups")]) if "groups" in names else 1


@torch.no_grad()
def _rescale(graph: fx.GraphModule, first: fx.Node, second: fx.Node) -> None:
    """Divides outputs of the first layer, and multiplies inputs of the second, by the factor of equation 11."""
    tensors = (*_tensors(first), second.args[1])
    weight, bias, following = (value(graph, node) for node in tensors)
    assert weight is not None  # layers have weights
    assert following is not None
    # (groups, outputs of a group, inputs of a group, kernel)
    grouped = following.flatten(2) if following.ndim > 2 else following[:, :, None]
    grouped = grouped.unflatten(0, (_groups(second), -1))
    factor = torch.sqrt(weight.flatten(1).abs().amax(dim=1) / grouped.abs().amax(dim=(1, 3)).flatten())
    factor = torch.where(torch.isfinite(factor) & (factor > 0), factor, 1.0).clamp(1.0 / _MOST, _MOST)
    scaled = (
        weight / factor.view(-1, *[1] * (weight.ndim - 1)),
        None if bias is None else bias / factor,
        (grouped * factor.view(len(grouped), 1, -1, 1)).reshape(following.shape),
    )
    for node, tensor in zip(tensors, scaled, strict=True):
        if tensor is not None:
            put(graph, str(node.target), tensor, learns=True)


def _tensors(node: fx.Node) -> tuple[Any, Any]:
    """Weight and bias of a layer."""
    return node.args[1], node.args[2] if len(node.args) > 2 else node.kwargs.get("bias")
