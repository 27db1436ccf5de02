"""From a quantized network to an ONNX model, node by node."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import (
    ACTIVATIONS,
    LINEAR,
    arguments_of,
    last_upsampling,
    limits_of,
    source_of,
    value,
)
from evo_qnas.networks.capture.operations.registry import translation_of
from evo_qnas.networks.export.onnx.builder import DOMAIN, GraphBuilder
from evo_qnas.networks.export.onnx.compose import TAKES, given_by
from evo_qnas.networks.export.onnx.floats import FLOAT_TABLE
from evo_qnas.networks.export.onnx.layers import convolution_arguments
from evo_qnas.networks.export.onnx.moves import MOVE_TABLE, static_shape
from evo_qnas.networks.export.onnx.packed import unpack_function, weight_codes
from evo_qnas.networks.export.onnx.values import Codes, Floats, code_limits
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

_ANY = Bits(weight=8, activation=8)
Value = Codes | Floats


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of a network becomes a model, and what its ends are.

    Attributes:
        upsample: with the up-sampling at the network's end.
        codes: uint8 codes in and out, as a block has them inside a network; else float images and logits.
        blocks: names of blocks to leave out: what they give becomes an input, what they take an output.
    """

    upsample: bool = False
    codes: bool = False
    blocks: tuple[str, ...] = ()


def to_onnx(network: QuantizedNetwork, *, upsample: bool = False) -> Any:
    """An ONNX model of a calibrated network: input `image` and output `logits`, float32, any batch size.

    Where the network ends in up-sampling of its logits, the model ends before it unless `upsample`: the up-sampling is
    float work that can take as long as a small network, and often an application needs no full-size logits.

    Weights are integer constants (packed below 8 bits) behind DequantizeLinear, activations QuantizeLinear, an integer
    Clip where codes are limited, DequantizeLinear; biases int32. Each stored tensor has the name that
    `QuantizedNetwork.stored` gives it.

    Raises:
        NetworkError: the network is not calibrated, or an operation has no translation.
    """
    return part_to_onnx(network, Part(upsample=upsample))


def part_to_onnx(network: QuantizedNetwork, part: Part) -> Any:
    """An ONNX model of a part of a calibrated network; see `Part`.

    Raises:
        NetworkError: the network is not calibrated, an operation has no translation, or nothing is left of the part.
    """
    if not all(module.active for module in (*network.layers, *network.quantizers)):
        raise NetworkError("the network is not calibrated: call calibrate or restore before exporting it")
    return _Translation(network, part).model()


def blocks_of(graph: fx.GraphModule, blocks: tuple[str, ...]) -> dict[fx.Node, str]:
    """The block of each node that is inside one of `blocks`."""
    policy = Policy(fixed=_ANY, blocks=dict.fromkeys(blocks, _ANY))
    return {node: block for node in graph.graph.nodes if (block := policy.block_of(node))}


class _Translation:
    """The state of one translation: the graph so far, and what each node of the network became."""

    def __init__(self, network: QuantizedNetwork, part: Part) -> None:
        self.graph, self.part = network.graph, part
        self.left_out = None if part.upsample else last_upsampling(network.graph)
        self.inside = blocks_of(network.graph, part.blocks)
        self.builder = GraphBuilder()
        self.values: dict[fx.Node, Value] = {}
        self.dequantized: dict[str, str] = {}

    def model(self) -> Any:
        """The whole model."""
        for node in self.graph.graph.nodes:
            if node == self.left_out:
                return self._finish(node)
            if self.inside.get(node):
                self._left_out_block(node)
            elif node.op == "placeholder":
                kind = "UINT8" if self.part.codes else "FLOAT"
                self.values[node] = Floats(name=self.builder.end("input", "image", kind, static_shape(node)[1:]))
            elif node.op == "call_module":
                self.values[node] = self._module(node)
            elif node.op == "call_function" and isinstance(node.meta.get("val"), torch.Tensor):
                self.values[node] = self._function(node)
            elif node.op == "output":
                return self._finish(node)
        raise NetworkError("the network has no output")

    def _finish(self, node: fx.Node) -> Any:
        given: Any = node.args[0]
        result = given[0] if isinstance(given, (tuple, list)) else given
        last, shape = self.values[result], static_shape(result)[1:]
        if isinstance(last, Codes) and self.part.codes:
            if last.name == "image":
                raise NetworkError("the network gives its input: there is nothing to export")
            self.builder.rename(last.name, "logits")
        elif isinstance(last, Codes):
            self._dequantize(last, output="logits")
        else:
            self.builder.node("Identity", last.name, output="logits")
        self.builder.end("output", "logits", "UINT8" if self.part.codes else "FLOAT", shape)
        packed = any(entry.domain == DOMAIN for entry in self.builder.nodes)
        return self.builder.model(functions=[unpack_function()] if packed else [])

    def _left_out_block(self, node: fx.Node) -> None:
        """What a block takes becomes an output of the model, what it gives an input."""
        block = self.inside[node]
        for source in node.all_input_nodes:
            given = self.values.get(source)
            if self.inside.get(source) != block and isinstance(given, Codes):
                self.builder.end("output", given.name, "UINT8", static_shape(source)[1:])
                self.builder.notes[f"{TAKES}{block}"] = given.name
        if any(self.inside.get(reader) != block for reader in node.users):
            quantizer = self._quantizer(node)
            self._store(quantizer)
            name = self.builder.end("input", given_by(block), "UINT8", static_shape(node)[1:])
            self.values[node] = Codes(name=name, quantizer=quantizer)

    def _quantizer(self, node: fx.Node) -> ActivationQuantizer:
        """The quantizer from which a node's codes come."""
        source: Any = node
        while isinstance(source, fx.Node) and source.op == "call_function":
            source = source.args[0]
        found = self.graph.get_submodule(str(source.target)) if source.op == "call_module" else None
        if not isinstance(found, ActivationQuantizer):
            raise NetworkError(f"what block {self.inside[node]!r} gives is not quantized: it cannot be left out")
        return found

    def _store(self, quantizer: ActivationQuantizer) -> tuple[str, str]:
        """Stores step and zero point of a quantizer; gives their names."""
        builder, name = self.builder, quantizer.name
        if f"{name}.scale" not in builder.constants:
            builder.stored(f"{name}.scale", quantizer.scale().detach().numpy(force=True).reshape(()))
            zero = quantizer.zero_point.numpy(force=True).astype("uint8")
            builder.stored(f"{name}.zero_point", zero.reshape(()))
        return f"{name}.scale", f"{name}.zero_point"

    def _dequantize(self, codes: Codes, output: str | None = None) -> str:
        """The name of the float tensor that codes stand for."""
        if output is None and codes.name in self.dequantized:
            return self.dequantized[codes.name]
        name = codes.quantizer.name
        ends = (f"{name}.scale", f"{name}.zero_point")
        self.dequantized[codes.name] = self.builder.node("DequantizeLinear", codes.name, *ends, output=output)
        return self.dequantized[codes.name]

    def _float(self, argument: Any) -> Any:
        """Tensor arguments as names of float tensors, everything else as it is."""
        if isinstance(argument, (list, tuple)):
            return [self._float(item) for item in argument]
        if not isinstance(argument, fx.Node):
            return argument
        constant = value(self.graph, argument)
        if constant is not None:
            return self.builder.constant(constant.numpy(force=True), "float32")
        found = self.values[argument]
        return self._dequantize(found) if isinstance(found, Codes) else found.name

    def _module(self, node: fx.Node) -> Value:
        module = self.graph.get_submodule(str(node.target))
        source = self.values[source_of(node)]
        if isinstance(module, ActivationQuantizer):
            return self._quantize(module, source)
        if isinstance(module, QuantizedLayer) and isinstance(source, Codes):
            return self._layer(node, module, source)
        raise NetworkError(f"{node.name} is neither a quantizer nor a layer with a quantized input")

    def _quantize(self, quantizer: ActivationQuantizer, source: Value) -> Codes:
        """QuantizeLinear, and an integer Clip where the codes do not use all of uint8."""
        builder = self.builder
        ends = self._store(quantizer)
        if self.part.codes and source.name == "image":
            return Codes(name="image", quantizer=quantizer)
        if isinstance(source, Codes):
            source = Floats(name=self._dequantize(source))
        codes = builder.node("QuantizeLinear", source.name, *ends)
        low, high = code_limits(quantizer, source.low, source.high)
        if (low, high) != (0, 255):
            ends = (builder.constant(low, "uint8"), builder.constant(high, "uint8"))
            codes = builder.node("Clip", codes, *ends)
        if source.shape is not None:
            codes = builder.node("Reshape", codes, builder.constant(source.shape, "int64"))
        return Codes(name=codes, quantizer=quantizer)

    def _layer(self, node: fx.Node, layer: QuantizedLayer, source: Codes) -> Floats:
        builder = self.builder
        scale = builder.stored(f"{layer.name}.scale", layer.scale().detach().numpy(force=True))
        zeros = self._zeros(layer)
        inputs = [builder.node("DequantizeLinear", weight_codes(builder, layer), scale, zeros, axis=0)]
        bias = layer.bias_codes()
        if bias is not None:
            codes = builder.stored(f"{layer.name}.bias", bias.numpy(force=True).astype("int32"))
            step = builder.node("Mul", f"{source.quantizer.name}.scale", scale)
            inputs.append(builder.node("DequantizeLinear", codes, step, axis=0))
        if layer.operation in LINEAR:
            return self._linear(node, layer, source, inputs)
        strides, pads, dilations, groups = convolution_arguments(layer.weight.shape, layer.arguments)
        name = builder.node(
            "Conv", self._dequantize(source), *inputs, strides=strides, pads=pads, dilations=dilations, group=groups
        )
        return Floats(name=name)

    def _zeros(self, layer: QuantizedLayer) -> str:
        """Zero points of a layer's weights, which ONNX Runtime's integer kernels ask for.

        ONNX Runtime rewrites 8-bit weights and their zero points on processors without VNNI, which fails on zero
        points that two layers share.
        """
        zeros = layer.zero_point.numpy(force=True).astype(np.int8)
        if layer.scheme.has_weight_zero_points:
            return self.builder.stored(f"{layer.name}.zero_point", zeros)
        if layer.bits < 8:
            return self.builder.constant(zeros, "int8")
        return self.builder.stored(f"{layer.name}.zeros", zeros)

    def _linear(self, node: fx.Node, layer: QuantizedLayer, source: Codes, inputs: list[str]) -> Floats:
        """Gemm, which has an integer kernel for matrices only: other shapes become matrices and back."""
        shape = static_shape(node)
        if len(shape) > 2:
            rows = self.builder.constant((-1, layer.weight.shape[1]), "int64")
            source = Codes(name=self.builder.node("Reshape", source.name, rows), quantizer=source.quantizer)
        name = self.builder.node("Gemm", self._dequantize(source), *inputs, transB=1)
        return Floats(name=name, shape=shape if len(shape) > 2 else None)

    def _function(self, node: fx.Node) -> Value:
        source = self.values.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
        if node.target in ACTIVATIONS and source is not None:
            return self._activation(node, source)
        arguments = arguments_of(node)
        layout = translation_of(node.target, "onnx", MOVE_TABLE, layout=True)
        if layout is not None and isinstance(source, Codes):
            name = layout(self.builder, source, node, arguments)
            return Codes(name=name, quantizer=source.quantizer)
        translation = translation_of(node.target, "onnx", FLOAT_TABLE, layout=False)
        if translation is not None:
            floats: Floats = translation(self.builder, node, [self._float(argument) for argument in arguments])
            return floats
        raise NetworkError(
            f"{node.target} ({node.name}) has no ONNX translation here: replace it by an operation that has one, "
            "or keep it outside the network"
        )

    def _apart(self, codes: Codes, low: float) -> Codes:
        """Codes that may be quantized anew right after DequantizeLinear.

        ONNX Runtime merges QuantizeLinear, DequantizeLinear, QuantizeLinear, DequantizeLinear into one pair, which
        rounds once instead of twice; an integer Clip between the first two keeps them apart.
        """
        if self.builder.operations.get(codes.name) != "QuantizeLinear":
            return codes
        least = int(codes.quantizer.zero_point) if low == 0.0 else 0
        ends = (self.builder.constant(least, "uint8"), self.builder.constant(255, "uint8"))
        return Codes(name=self.builder.node("Clip", codes.name, *ends), quantizer=codes.quantizer)

    def _activation(self, node: fx.Node, source: Value) -> Floats:
        """A ReLU or ReLU6: limits for the quantizer behind it."""
        low, high = limits_of(node)
        if isinstance(source, Codes):
            return Floats(name=self._dequantize(self._apart(source, low)), low=low, high=high)
        return Floats(
            name=source.name,
            low=min(max(source.low, low), high),
            high=min(max(source.high, low), high),
            shape=source.shape,
        )
