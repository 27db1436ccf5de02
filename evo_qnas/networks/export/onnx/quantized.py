"""A graph of codes in the making: quantizers, layers, and the floats between them."""

from typing import Any, final

import numpy as np
from torch import fx

from evo_qnas.networks.capture.graph import LINEAR, limits_of
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.export.common.arguments import (
    convolution_arguments,
    narrowed_limits,
    static_shape,
)
from evo_qnas.networks.export.common.codes import code_limits
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.packed import OFFSET, is_read_often, weight_codes
from evo_qnas.networks.export.onnx.products import conv_transpose
from evo_qnas.networks.export.onnx.values import Floats, UInt8Codes, Value
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer


@final
class QuantizedGraph:
    """Nodes of a quantized network in an ONNX graph; each stored tensor has the name that `stored` gives it.

    Attributes:
        builder: of the graph.
    """

    def __init__(self) -> None:
        self.builder = GraphBuilder()
        self._dequantized: dict[str, str] = {}
        self._apart: dict[str, str] = {}

    def store(self, quantizer: ActivationQuantizer) -> tuple[str, str]:
        """Names of the stored scale and zero point of a quantizer."""
        builder, name = self.builder, quantizer.name
        if f"{name}.scale" not in builder.constants:
            builder.stored(f"{name}.scale", quantizer.scale().detach().numpy(force=True).reshape(()))
            zero = quantizer.zero_point.numpy(force=True).astype("uint8")
            builder.stored(f"{name}.zero_point", zero.reshape(()))
        return f"{name}.scale", f"{name}.zero_point"

    def dequantize(self, codes: UInt8Codes, output: str | None = None) -> str:
        """The name of the float tensor that codes stand for."""
        if output is None and codes.name in self._dequantized:
            return self._dequantized[codes.name]
        name = codes.quantizer.name
        parameters = (f"{name}.scale", f"{name}.zero_point")
        self._dequantized[codes.name] = self.builder.node("DequantizeLinear", codes.name, *parameters, output=output)
        return self._dequantized[codes.name]

    def dequantize_for_floats(self, codes: UInt8Codes) -> str:
        """The same for a layer whose weights are floats, and stay floats.

        ONNX Runtime gives codes of 8 bits to the weights of a layer right behind DequantizeLinear, whatever they were.
        A maximum with the least number changes nothing and stands between the two.
        """
        if codes.name not in self._apart:
            least = self.builder.constant(np.finfo(np.float32).min, "float32")
            self._apart[codes.name] = self.builder.node("Max", self.dequantize(codes), least)
        return self._apart[codes.name]

    def quantize(self, quantizer: ActivationQuantizer, source: Value) -> UInt8Codes:
        """QuantizeLinear, and an integer Clip where the codes do not use all of uint8."""
        builder, parameters = self.builder, self.store(quantizer)
        if isinstance(source, UInt8Codes):
            source = Floats(name=self.dequantize(source))
        codes = builder.node("QuantizeLinear", source.name, *parameters)
        low, high = code_limits(quantizer, source.low, source.high)
        if (low, high) != (0, 255):
            codes = self._clip(codes, low, high)
        if source.shape is not None:
            codes = builder.node("Reshape", codes, builder.constant(source.shape, "int64"))
        return UInt8Codes(name=codes, quantizer=quantizer)

    def _clip(self, codes: str, low: int, high: int) -> str:
        limits = (self.builder.constant(low, "uint8"), self.builder.constant(high, "uint8"))
        return self.builder.node("Clip", codes, *limits)

    def activation(self, node: fx.Node, source: Value) -> Floats:
        """A ReLU or ReLU6: limits for the quantizer behind it."""
        if isinstance(source, UInt8Codes):
            low, high = limits_of(node)
            return Floats(name=self.dequantize(self._requantizable(source, low)), low=low, high=high)
        low, high = narrowed_limits(node, source.low, source.high)
        return Floats(name=source.name, low=low, high=high, shape=source.shape)

    def _requantizable(self, codes: UInt8Codes, low: float) -> UInt8Codes:
        """Codes that may be quantized anew right after DequantizeLinear.

        ONNX Runtime merges QuantizeLinear, DequantizeLinear, QuantizeLinear, DequantizeLinear into one pair, which
        rounds once instead of twice; an integer Clip between the first two prevents that.
        """
        if self.builder.operations.get(codes.name) != "QuantizeLinear":
            return codes
        least = int(codes.quantizer.zero_point) if low == 0.0 else 0
        return UInt8Codes(name=self._clip(codes.name, least, 255), quantizer=codes.quantizer)

    def layer(self, node: fx.Node, layer: QuantizedLayer, source: UInt8Codes) -> Floats:
        """A convolution or linear layer on codes, with integer constants behind DequantizeLinear."""
        builder = self.builder
        weights, scale = self._weights(layer)
        inputs = [weights]
        bias = layer.bias_codes()
        if bias is not None:
            codes = builder.stored(f"{layer.name}.bias", bias.numpy(force=True).astype("int32"))
            step = builder.node("Mul", f"{source.quantizer.name}.scale", scale)
            inputs.append(builder.node("DequantizeLinear", codes, step, axis=0))
        if layer.operation in LINEAR:
            return self._linear(node, layer, source, inputs)
        if layer.role is Role.TRANSPOSED_CONVOLUTION:
            return self._transposed(layer, source, inputs)
        strides, pads, dilations, groups = convolution_arguments(layer.weight.shape, layer.arguments)
        name = builder.node(
            "Conv", self.dequantize(source), *inputs, strides=strides, pads=pads, dilations=dilations, group=groups
        )
        return Floats(name=name)

    def embedding(self, layer: QuantizedLayer, indices: str) -> Floats:
        """The chosen rows of a layer's weights, floats."""
        weights, _ = self._weights(layer)
        return Floats(name=self.builder.node("Gather", weights, indices, axis=0))

    def _weights(self, layer: QuantizedLayer) -> tuple[str, str]:
        """Names of the weights, behind DequantizeLinear, and of their scales."""
        scale = self.builder.stored(f"{layer.owner.name}.scale", layer.scale().detach().numpy(force=True))
        codes, zeros = weight_codes(self.builder, layer), self._zeros(layer)
        return self.builder.node("DequantizeLinear", codes, scale, zeros, axis=0), scale

    def _transposed(self, layer: QuantizedLayer, source: UInt8Codes, inputs: list[str]) -> Floats:
        """ConvTranspose in floats, of weights that are outputs first in the file."""
        builder = self.builder
        given: list[Any] = list(layer.arguments)
        count = int(given[3]) if len(given) > 3 else 1
        axes = layer.weight.ndim - 2
        weights, shape = inputs[0], tuple(layer.weight.shape)
        if count > 1:
            grouped = (count, shape[0] // count, *shape[1:])
            weights = builder.node("Reshape", weights, builder.constant(grouped, "int64"))
            weights = builder.node("Transpose", weights, perm=[0, 2, 1, *range(3, 3 + axes)])
            joined = (count * shape[1], shape[0] // count, *shape[2:])
            weights = builder.node("Reshape", weights, builder.constant(joined, "int64"))
        else:
            weights = builder.node("Transpose", weights, perm=[1, 0, *range(2, 2 + axes)])
        return conv_transpose(builder, [self.dequantize(source), weights, *inputs[1:]], given, axes=axes)

    def _zeros(self, layer: QuantizedLayer) -> str:
        """Zero points of a layer's weights, which ONNX Runtime's integer kernels ask for.

        ONNX Runtime rewrites 8-bit weights and their zero points on processors without VNNI, which fails on zero
        points that two layers share.
        """
        zeros, name = layer.zero_point.numpy(force=True).astype(np.int8), layer.owner.name
        if layer.bits == 8 and is_read_often(layer):
            end = "zero_point" if layer.scheme.has_weight_zero_points else "zeros"
            return self.builder.stored(f"{name}.{end}", (zeros.astype(np.int16) + OFFSET).astype(np.uint8))
        if layer.scheme.has_weight_zero_points:
            return self.builder.stored(f"{name}.zero_point", zeros)
        if layer.bits < 8:
            return self.builder.constant(zeros, "int8")
        return self.builder.stored(f"{name}.zeros", zeros)

    def _linear(self, node: fx.Node, layer: QuantizedLayer, source: UInt8Codes, inputs: list[str]) -> Floats:
        """Gemm, which has an integer kernel for matrices only: other shapes become matrices and back."""
        shape = static_shape(node)
        if len(shape) > 2:
            rows = self.builder.constant((-1, layer.weight.shape[1]), "int64")
            source = UInt8Codes(name=self.builder.node("Reshape", source.name, rows), quantizer=source.quantizer)
        name = self.builder.node("Gemm", self.dequantize(source), *inputs, transB=1)
        return Floats(name=name, shape=shape if len(shape) > 2 else None)
