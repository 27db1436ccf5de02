"""From a quantized network to a TFLite file, node by node."""

from dataclasses import replace
from typing import Any, final

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ACTIVATIONS, ATEN, arguments_of, last_upsampling, source_of
from evo_qnas.networks.capture.operations.registry import translation_of
from evo_qnas.networks.export.common.arguments import (
    narrowed_limits,
    not_quantized,
    require_calibrated,
    result_of,
)
from evo_qnas.networks.export.common.codes import code_limits
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.layers import layer
from evo_qnas.networks.export.tflite.layout import LAYOUT_TABLE
from evo_qnas.networks.export.tflite.operations import OPERATION_TABLE, as_floats, bilinear_options
from evo_qnas.networks.export.tflite.values import Int8Codes, Pending, Value, offset_of, shape_of, stored_shape
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer


def to_tflite(network: QuantizedNetwork, *, upsample: bool = False) -> bytes:
    """A TFLite file of a calibrated network: input `image` and output `logits`, float32, maps with channels last.

    Codes, steps, zero points and biases are the network's own; activations become int8. Where the network ends in
    up-sampling of its logits, the file ends before it unless `upsample`, see `Runtime.write`.

    Raises:
        NetworkError: the network is not calibrated, or an operation has no translation.
    """
    require_calibrated(network)
    return _Translation(network, upsample).content()


@final
class _Translation:
    """The state of one translation: the file so far, and the value of each node of the network in it."""

    def __init__(self, network: QuantizedNetwork, upsample: bool) -> None:
        self.graph, self.upsample = network.graph, upsample
        self.last = last_upsampling(network.graph)
        self.builder = TfliteBuilder()
        self.values: dict[fx.Node, Value] = {}
        self.image = -1

    def content(self) -> bytes:
        """The whole file."""
        for node in self.graph.graph.nodes:
            if node == self.last:
                return self._finish(node.args[0], node if self.upsample else None)
            if node.op == "placeholder":
                shape = shape_of(node)
                self.image = self.builder.tensor("image", stored_shape(shape), "FLOAT32")
                self.values[node] = Pending(code="QUANTIZE", inputs=(self.image,), shape=shape)
            elif node.op == "call_module":
                self.values[node] = self._module(node)
            elif node.op == "call_function" and "val" in node.meta and not isinstance(node.meta["val"], (int, float)):
                self.values[node] = self._function(node)
            elif node.op == "output":
                return self._finish(result_of(node), None)
        raise NetworkError("the network has no output")

    def _finish(self, result: fx.Node, last: fx.Node | None) -> bytes:
        codes, builder = self.values[result], self.builder
        if not isinstance(codes, Int8Codes):
            raise NetworkError("the network's output is not quantized")
        logits = as_floats(builder, codes, "logits" if last is None else "floats")
        if last is not None:
            shape = shape_of(last)
            output = builder.tensor("logits", stored_shape(shape), "FLOAT32")
            inputs = (logits, builder.numbers(shape[2:]))
            if last.target is ATEN.upsample_bilinear2d.vec:
                options = bilinear_options(builder, corners=bool(arguments_of(last)[2]))
                logits = builder.operator("RESIZE_BILINEAR", inputs, output, options)
            else:
                options = builder.schema.ResizeNearestNeighborOptionsT()
                logits = builder.operator("RESIZE_NEAREST_NEIGHBOR", inputs, output, options)
        return builder.content(image=self.image, logits=logits)

    def _module(self, node: fx.Node) -> Value:
        source = self.values[source_of(node)]
        module = self.graph.get_submodule(str(node.target))
        if isinstance(module, QuantizedLayer) and isinstance(source, Int8Codes):
            return layer(self.builder, node, module, source)
        if not isinstance(module, ActivationQuantizer):
            raise not_quantized(node)
        return self._quantize(module, source)

    def _quantize(self, quantizer: ActivationQuantizer, source: Value) -> Int8Codes:
        """The codes of the operator that was pending, and of one more that limits them where it cannot."""
        if isinstance(source, Int8Codes):
            source = Pending(code="QUANTIZE", inputs=(source.tensor,), shape=source.shape)
        low, high = code_limits(quantizer, source.low, source.high)
        made = self._codes(quantizer, source.shape, offset_of(high))
        inputs = [part.tensor for part in self._requantized(source.parts, made)] or source.inputs
        least = low + made.offset
        if source.fuses and least == made.zero > -128:
            source.options.fusedActivationFunction = self.builder.schema.ActivationFunctionType.RELU
            least = -128
        self.builder.operator(source.code, inputs, made.tensor, source.options)
        if least == -128:
            return made
        limited = self._codes(quantizer, source.shape, made.offset)
        code = self.builder.codes(least, made.step, made.zero)
        options = self.builder.schema.MaximumMinimumOptionsT()
        self.builder.operator("MAXIMUM", (made.tensor, code), limited.tensor, options)
        return limited

    def _codes(self, quantizer: ActivationQuantizer, shape: tuple[int, ...], offset: int) -> Int8Codes:
        """A new tensor for a quantizer's codes."""
        made = Int8Codes(tensor=-1, shape=shape, quantizer=quantizer, offset=offset)
        name = quantizer.name
        tensor = self.builder.tensor(name, stored_shape(shape), "INT8", step=made.step, zero=made.zero)
        return replace(made, tensor=tensor)

    def _requantized(self, parts: tuple[Int8Codes, ...], whole: Int8Codes) -> list[Int8Codes]:
        """Parts of a concatenation with the step and zero point of the whole."""
        results = []
        for part in parts:
            made = part
            if (part.step, part.zero) != (whole.step, whole.zero):
                made = self._codes(whole.quantizer, part.shape, whole.offset)
                self.builder.operator("QUANTIZE", (part.tensor,), made.tensor)
            results.append(made)
        return results

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, (list, tuple)):
            return [self._argument(item) for item in argument]
        return self.values.get(argument, argument) if isinstance(argument, fx.Node) else argument

    def _function(self, node: fx.Node) -> Value:
        arguments = [self._argument(argument) for argument in arguments_of(node)]
        source = arguments[0]
        if node.target in ACTIVATIONS:
            return self._activation(node, source)
        layout = translation_of(node.target, "tflite", LAYOUT_TABLE, layout=True)
        if layout is not None and isinstance(source, Int8Codes):
            codes: Int8Codes = layout(self.builder, source, node, arguments)
            return codes
        translation = translation_of(node.target, "tflite", OPERATION_TABLE, layout=False)
        if translation is not None and isinstance(source, (Int8Codes, list)):
            pending: Pending = translation(self.builder, node, arguments)
            return pending
        raise NetworkError(f"{node.target} ({node.name}) has no translation to TFLite; export the network as ONNX")

    def _activation(self, node: fx.Node, source: Value) -> Pending:
        """A ReLU or ReLU6: limits for the quantizer behind it."""
        if isinstance(source, Int8Codes):
            source = Pending(code="QUANTIZE", inputs=(source.tensor,), shape=source.shape)
        low, high = narrowed_limits(node, source.low, source.high)
        return replace(source, low=low, high=high)
