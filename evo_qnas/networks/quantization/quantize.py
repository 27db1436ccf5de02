"""Quantizing a network: integer weights for its layers, and quantizers for its activations."""

import operator
from typing import Any

import torch
from torch import fx, nn

from evo_qnas.networks.capture.exporting import Example
from evo_qnas.networks.capture.graph import ACTIVATIONS, LAYOUT, capture, last_upsampling
from evo_qnas.networks.capture.multiplications import multiplications
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import stays_in_floats
from evo_qnas.networks.capture.tensors import drop_unread, own_float_parts
from evo_qnas.networks.quantization.equalization import equalize
from evo_qnas.networks.quantization.floats import mark_floats
from evo_qnas.networks.quantization.layers import (
    insert_layers,
    is_layer,
    join_calls,
    link_biases,
    module_of,
    share_steps,
)
from evo_qnas.networks.quantization.network import QuantizedNetwork
from evo_qnas.networks.quantization.policy import Bits, Policy
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.scheme import SCHEMES, Scheme

__all__ = ["Bits", "Policy", "QuantizedNetwork", "producer_of", "quantize"]

# The one input of a network that takes images.
_IMAGE = "image"


def quantize(network: nn.Module, example: Example, policy: Policy) -> QuantizedNetwork:
    """A quantized copy of `network` in evaluation mode, not calibrated yet; `network` stays unchanged.

    Every convolution, linear layer and embedding gets integer weights; its output (after a ReLU or ReLU6 that is its
    only reader) gets an activation quantizer, and so does every other operation that computes (additions, means, ...).
    Operations that only move values (flatten, slice, max-pooling, zero padding, ...) keep their input's range, and an
    up-sampling at the very end works on the quantized logits in floats. What no layer holds is a float part, and so are
    the weights of submodules that `policy` keeps in floats: they read codes, and inside them and at the network's end
    nothing is rounded. A block in floats is the same, but that it gives codes of 8 bits as every block gives codes.

    Args:
        network: takes and gives any nesting of tensors.
        example: a tensor, a tuple of positional arguments, or a mapping of arguments by name.
        policy: bits of each part.

    Raises:
        NetworkError: the network cannot be captured.
    """
    graph, scheme = capture(network, example), SCHEMES.get(policy.scheme)
    if policy.recipe.equalized:
        equalize(graph, policy)
    _quantize_inputs(graph, policy, scheme)
    insert_layers(graph, policy, scheme)
    last = last_upsampling(graph)
    for node in list(graph.graph.nodes):
        if node is not last and _computes(graph, node, policy, last):
            _insert_after(graph, node, _quantizer(node, policy, scheme))
    _quantize_layer_inputs(graph, policy, scheme)
    share_steps(graph, producer_of)
    link_biases(graph, producer_of)
    join_calls(graph)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    drop_unread(graph)
    own_float_parts(graph)
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            node.meta["block"] = policy.block_of(next(iter(node.users)))
        elif node.op == "call_function" and multiplications(node):
            node.meta |= {"block": policy.block_of(node), "macs": multiplications(node)}
    mark_floats(graph, policy, producer_of)
    graph.recompile()
    network = QuantizedNetwork(graph, recipe=policy.recipe)
    network.round_halves()
    return network


def producer_of(node: fx.Node) -> fx.Node:
    """The node whose codes a node has: the one behind all that only moves values."""
    while _moves(node):
        node = node.args[0]  # type: ignore[assignment]  # the tensor that is moved
    return node


def _moves(node: fx.Node) -> bool:
    """True where a node's output has the codes of its first argument."""
    if node.op != "call_function":
        return False
    return node.target in LAYOUT or (node.target is operator.getitem and _moves(node.args[0]))  # type: ignore[arg-type]  # the node with several outputs


def _quantize_inputs(graph: fx.GraphModule, policy: Policy, scheme: Scheme) -> None:
    """Rounds every float input; integers and truth values are as they are."""
    inputs = [node for node in graph.graph.nodes if node.op == "placeholder"]
    tensors = [node for node in inputs if isinstance(node.meta.get("val"), torch.Tensor)]
    for node in inputs:
        if not _is_float(node) or not node.users:
            continue
        name = _IMAGE if len(tensors) == 1 else node.name
        quantizer = ActivationQuantizer(name=name, block="", bits=policy.image_bits, scheme=scheme)
        inserted = _insert_after(graph, node, quantizer)
        inserted.meta["input_quantizer"] = True


def _quantizer(node: fx.Node, policy: Policy, scheme: Scheme, name: str = "") -> ActivationQuantizer:
    block = policy.block_of(node)
    return ActivationQuantizer(name=name or node.name, block=block, bits=policy.code_bits(block), scheme=scheme)


def _insert_after(graph: fx.GraphModule, node: fx.Node, quantizer: ActivationQuantizer) -> fx.Node:
    """Puts a quantizer between a node and all its readers."""
    target = f"quantizer_{node.name}"
    graph.add_submodule(target, quantizer)
    with graph.graph.inserting_after(node):
        inserted = graph.graph.call_module(target, (node,))
    inserted.meta = {key: part for key, part in node.meta.items() if key != "macs"}
    node.replace_all_uses_with(inserted, delete_user_cb=lambda user: user is not inserted)
    return inserted


def _quantize_layer_inputs(graph: fx.GraphModule, policy: Policy, scheme: Scheme) -> None:
    """Rounds what a layer reads where nothing has rounded it yet."""
    for node in list(graph.graph.nodes):
        layer = module_of(graph, node)
        if not isinstance(layer, QuantizedLayer) or layer.role is Role.EMBEDDING:
            continue
        source = node.args[0]
        if isinstance(module_of(graph, producer_of(source)), ActivationQuantizer):
            continue
        target = f"quantizer_input_{node.name}"
        quantizer = _quantizer(node, policy, scheme, f"{layer.name}_input")
        graph.add_submodule(target, quantizer)
        with graph.graph.inserting_before(node):
            inserted = graph.graph.call_module(target, (source,))
        inserted.meta = {key: source.meta[key] for key in ("val", "nn_module_stack") if key in source.meta}
        inserted.meta.setdefault("nn_module_stack", node.meta.get("nn_module_stack"))
        node.replace_input_with(source, inserted)


def _computes(graph: fx.GraphModule, node: fx.Node, policy: Policy, last: fx.Node | None) -> bool:
    """True where a node's output needs a quantizer: it computes, and its only reader is no ReLU of the same block."""
    rounded = isinstance(module_of(graph, producer_of(node)), ActivationQuantizer)
    if not is_layer(graph, node) and (node.op != "call_function" or rounded):
        return False
    readers, block = list(node.users), policy.block_of(node)
    if policy.bits_of(block).in_floats:
        return _is_float(node) and any(
            reader.op == "output" or reader is last or policy.block_of(reader) != block for reader in readers
        )
    if policy.is_kept(node) and all(reader.op == "output" or policy.is_kept(reader) for reader in readers):
        return False
    # What a block gives has codes, wherever it leads.
    inside = not block or all(policy.block_of(reader) == block for reader in readers)
    if not _is_float(node) or (inside and stays_in_floats(node) and not _ends_layer(graph, node)):
        return False
    if len(readers) == 1 and readers[0].op == "call_function" and readers[0].target in ACTIVATIONS:
        return policy.block_of(readers[0]) != block
    return True


def _ends_layer(graph: fx.GraphModule, node: fx.Node) -> bool:
    """True for an activation that is the only reader of a layer, which has no quantizer of its own then."""
    source = node.args[0] if node.args else None
    return node.target in ACTIVATIONS and isinstance(source, fx.Node) and is_layer(graph, source)


def _is_float(node: fx.Node) -> bool:
    result: Any = node.meta.get("val")
    return isinstance(result, torch.Tensor) and result.is_floating_point()
