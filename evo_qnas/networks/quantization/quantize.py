"""Quantizing a network: bits of each tensor, calibration, and the stored integers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, final

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import (
    ACTIVATIONS,
    CONVOLUTIONS,
    LAYOUT,
    LINEAR,
    capture,
    float_part_name,
    last_upsampling,
    value,
)
from evo_qnas.networks.capture.tensors import own_float_parts
from evo_qnas.networks.quantization.correction import correct_biases, matched_moments, observe
from evo_qnas.networks.quantization.fusing import clone, fuse
from evo_qnas.networks.quantization.quantizers import MAX_BITS, MIN_BITS, ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME, SCHEMES, Scheme


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """Bit-widths of weights and of activations, 2..8 each."""

    weight: int
    activation: int

    def __post_init__(self) -> None:
        for name, bits in (("weight", self.weight), ("activation", self.activation)):
            if not MIN_BITS <= bits <= MAX_BITS:
                raise NetworkError(f"{name} bits must be {MIN_BITS}..{MAX_BITS}, got {bits}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The bits of each part of a network, and the scheme of its codes.

    Attributes:
        fixed: everything outside the named blocks.
        blocks: per block its bits.
        image_bits: activation bits of the network's input.
        scheme: name of an entry of `SCHEMES`.
    """

    fixed: Bits
    blocks: Mapping[str, Bits] = field(default_factory=dict)
    image_bits: int = 8
    scheme: str = DEFAULT_SCHEME

    def __post_init__(self) -> None:
        SCHEMES.require(self.scheme)

    def block_of(self, node: fx.Node) -> str:
        """The block from which an operation comes, "" for the fixed part."""
        for path, _kind in reversed(list((node.meta.get("nn_module_stack") or {}).values())):
            for name in self.blocks:
                if path == name or path.startswith(f"{name}."):
                    return name
        return ""

    def bits_of(self, block: str) -> Bits:
        """The bits of a block, or of the fixed part for ""."""
        return self.blocks.get(block, self.fixed)


@final
class QuantizedNetwork(nn.Module):
    """A network whose every layer and activation is quantized, ready to calibrate, run, fine-tune and store.

    Attributes:
        graph: the captured graph with quantizers in it.
        layers: convolutions and linear layers in graph order.
        quantizers: activation quantizers in graph order, the first is the network's input.
        float_blocks: by name of each float part the block that reads it, "" for the fixed part.
        weighted_scales: calibration weights errors of weights by their inputs' mean square.
        corrected_biases: calibration moves biases by the mean error that quantized weights leave.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph = graph
        modules = [graph.get_submodule(str(n.target)) for n in graph.graph.nodes if n.op == "call_module"]
        self.layers = tuple(m for m in modules if isinstance(m, QuantizedLayer))
        self.quantizers = tuple(m for m in modules if isinstance(m, ActivationQuantizer))
        self.float_blocks = {
            float_part_name(n): str(n.meta.get("block", "")) for n in graph.graph.nodes if value(graph, n) is not None
        }
        self.weighted_scales, self.corrected_biases = True, True
        self._running = fuse(graph)

    @property
    def float_parts(self) -> dict[str, torch.Tensor]:
        """What stays as it is, by stored name: parameters that learn, other tensors as buffers."""
        tensors = {float_part_name(node): value(self.graph, node) for node in self.graph.graph.nodes}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def clone(self) -> "QuantizedNetwork":
        """An independent copy, in the same state."""
        copied = QuantizedNetwork(clone(self.graph))
        copied.weighted_scales, copied.corrected_biases = self.weighted_scales, self.corrected_biases
        return copied

    def forward(self, x: Float[torch.Tensor, "n ..."]) -> torch.Tensor:
        """The network's output, float32."""
        output: torch.Tensor = self._running(self.graph, x)
        return output

    def set_bits(self, bits: Bits) -> None:
        """Gives every layer and activation but the input the same bits; calibrate afterwards."""
        for layer in self.layers:
            layer.bits = bits.weight
        for quantizer in self.quantizers[1:]:
            quantizer.bits = bits.activation

    @torch.no_grad()
    def calibrate_weights(self, batches: Iterable[torch.Tensor]) -> None:
        """Fits the weights' scales, then watches activations (unquantized) on `batches` for `calibrate_activations`.

        Errors of weights count by their inputs' mean square, and biases take up the mean error that is left, both
        measured on the first batch. Refined layers keep their codes and count as the target, see
        `matched_moments`.
        """
        parts = list(batches)
        for layer in self.layers:
            layer.active = layer.kept is not None
            layer.correct(None)
        for quantizer in self.quantizers:
            quantizer.active, quantizer.watching, quantizer.observed = False, False, []
        free = [layer for layer in self.layers if layer.kept is None]
        with matched_moments(self.layers, for_good=False):
            statistics = observe(self, free, parts[0])
        for layer, of_layer in zip(free, statistics, strict=True):
            layer.fit(of_layer.squares if self.weighted_scales else None)
        if not self.corrected_biases:
            free, statistics = [], []
        with matched_moments(self.layers, for_good=True):
            correct_biases(self, free, statistics, parts[0])
        for quantizer in self.quantizers:
            quantizer.watching = True
        for batch in parts:
            self(batch)
        for quantizer in self.quantizers:
            quantizer.watching = False

    @torch.no_grad()
    def calibrate_activations(self) -> None:
        """Fits every activation's scale and zero point for its present bits from what was watched."""
        for quantizer in self.quantizers:
            quantizer.fit()
        for layer in self.layers:
            layer.fit_bias()

    def calibrate(self, batches: Iterable[torch.Tensor]) -> None:
        """Post-training quantization: weights by least squared error, then activations on `batches` (train data)."""
        self.calibrate_weights(batches)
        self.calibrate_activations()
        for quantizer in self.quantizers:
            quantizer.observed = []

    def stored(self) -> dict[str, torch.Tensor]:
        """The tensors a device needs, see `QuantizedLayer.stored` and `ActivationQuantizer.stored`, and float parts."""
        tensors: dict[str, torch.Tensor] = {}
        for layer in self.layers:
            tensors |= layer.stored()
        for quantizer in self.quantizers:
            tensors |= quantizer.stored()
        return tensors | {name: tensor.detach() for name, tensor in self.float_parts.items()}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what `stored` gave; the outputs are then those of the stored network.

        Raises:
            NetworkError: a tensor is missing or has another shape.
        """
        try:
            # Quantizers first: biases need the scales of their inputs.
            for quantizer in self.quantizers:
                quantizer.restore(tensors)
            for layer in self.layers:
                layer.restore(tensors)
            for name, tensor in self.float_parts.items():
                _take(tensor, tensors[name])
        except (KeyError, RuntimeError) as error:
            raise NetworkError(f"the stored weights do not fit this network: {error}") from error


@torch.no_grad()
def _take(tensor: torch.Tensor, stored: torch.Tensor) -> None:
    """Copies a stored float part of the same shape and type."""
    if tensor.shape != stored.shape or tensor.dtype != stored.dtype:
        raise RuntimeError(f"a float part has the shape {tuple(stored.shape)}, not {tuple(tensor.shape)}")
    tensor.copy_(stored)


def quantize(network: nn.Module, example: Float[torch.Tensor, "n ..."], policy: Policy) -> QuantizedNetwork:
    """A quantized copy of `network` in evaluation mode, not calibrated yet; `network` stays unchanged.

    Every convolution and linear layer gets integer weights; its output (after a ReLU or ReLU6 that is its only
    reader) gets an activation quantizer, and so does every other operation that computes (additions, means, ...).
    Operations that only move values (flatten, slice, max-pooling, zero padding, ...) keep their input's range, and an
    up-sampling at the very end works on the quantized logits in floats.

    Raises:
        NetworkError: the network cannot be captured.
    """
    graph, scheme = capture(network, example), SCHEMES.get(policy.scheme)
    for node in list(graph.graph.nodes):
        if node.op == "placeholder":
            quantizer = ActivationQuantizer(name="image", block="", bits=policy.image_bits, scheme=scheme)
            _insert_after(graph, node, quantizer)
        elif node.op == "call_function" and node.target in (*CONVOLUTIONS, *LINEAR) and _has_weights(graph, node):
            _quantize_layer(graph, node, policy, scheme)
    last = last_upsampling(graph)
    for node in list(graph.graph.nodes):
        block = policy.block_of(node)
        if node is not last and _computes(graph, node, policy):
            bits = policy.bits_of(block).activation
            quantizer = ActivationQuantizer(name=node.name, block=block, bits=bits, scheme=scheme)
            _insert_after(graph, node, quantizer)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    own_float_parts(graph)
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            node.meta["block"] = policy.block_of(next(iter(node.users)))
    graph.recompile()
    _link_biases(graph)
    return QuantizedNetwork(graph)


def _has_weights(graph: fx.GraphModule, node: fx.Node) -> bool:
    """True where the weights of a layer, and its bias, do not depend on the network's input."""
    return all(value(graph, argument) is not None for argument in node.args[1:3] if isinstance(argument, fx.Node))


def _insert_after(graph: fx.GraphModule, node: fx.Node, quantizer: ActivationQuantizer) -> None:
    """Puts a quantizer between a node and all its readers."""
    target = f"quantizer_{node.name}"
    graph.add_submodule(target, quantizer)
    with graph.graph.inserting_after(node):
        inserted = graph.graph.call_module(target, (node,))
    inserted.meta = dict(node.meta)
    node.replace_all_uses_with(inserted, delete_user_cb=lambda user: user is not inserted)


def _quantize_layer(graph: fx.GraphModule, node: fx.Node, policy: Policy, scheme: Scheme) -> None:
    """Replaces a convolution or linear node by a `QuantizedLayer`."""
    weight, bias = value(graph, node.args[1]), value(graph, node.args[2]) if len(node.args) > 2 else None
    block = policy.block_of(node)
    outputs = tuple(node.meta["val"].shape)
    positions = outputs[2:] if node.target in CONVOLUTIONS else outputs[1:-1]
    layer = QuantizedLayer(
        name=node.name,
        block=block,
        bits=policy.bits_of(block).weight,
        operation=node.target,
        arguments=tuple(_plain(argument) for argument in node.args[3:]),
        weight=weight,
        bias=bias,
        macs=int(weight.numel() * prod(int(size) for size in positions)),
        scheme=scheme,
    )
    target = f"layer_{node.name}"
    graph.add_submodule(target, layer)
    with graph.graph.inserting_after(node):
        inserted = graph.graph.call_module(target, (node.args[0],))
    inserted.meta = {**node.meta, "name": node.name}
    node.replace_all_uses_with(inserted)
    graph.graph.erase_node(node)


def _plain(argument: Any) -> Any:
    return list(argument) if isinstance(argument, (list, tuple)) else argument


def _is_layer(graph: fx.GraphModule, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(graph.get_submodule(str(node.target)), QuantizedLayer)


def _computes(graph: fx.GraphModule, node: fx.Node, policy: Policy) -> bool:
    """True where a node's output needs a quantizer: it computes, and its only reader is no ReLU of the same block."""
    if not _is_layer(graph, node) and (node.op != "call_function" or node.target in LAYOUT):
        return False
    readers = list(node.users)
    if len(readers) == 1 and readers[0].op == "call_function" and readers[0].target in ACTIVATIONS:
        return policy.block_of(readers[0]) != policy.block_of(node) and _is_float(node)
    return _is_float(node)


def _is_float(node: fx.Node) -> bool:
    result = node.meta.get("val")
    return isinstance(result, torch.Tensor) and result.is_floating_point()


def _link_biases(graph: fx.GraphModule) -> None:
    """Gives each layer the quantizer of its input, whose scale its bias needs."""
    for node in graph.graph.nodes:
        if not _is_layer(graph, node):
            continue
        source = node.args[0]
        while source.op == "call_function" and source.target in LAYOUT:
            source = source.args[0]
        producer = graph.get_submodule(str(source.target)) if source.op == "call_module" else None
        if not isinstance(producer, ActivationQuantizer):
            raise NetworkError(f"the input of layer {node.meta['name']} is not quantized")
        layer = graph.get_submodule(str(node.target))
        if isinstance(layer, QuantizedLayer):
            layer.source = [producer]
