"""From a quantized network to a TFLite file, node by node."""

from dataclasses import replace
from typing import Any, final

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ACTIVATIONS, ATEN, arguments_of, last_upsampling, limits_of, source_of
from evo_qnas.networks.capture.operations.registry import translation_of
from evo_qnas.networks.export.onnx.values import code_limits
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.layers import layer
from evo_qnas.networks.export.tflite.moves import MOVE_TABLE
from evo_qnas.networks.export.tflite.operations import OPERATION_TABLE, as_floats, bilinear_options
from evo_qnas.networks.export.tflite.values import Codes, Pending, offset_of, shape_of, stored_shape
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

Value = Codes | Pending


def to_tflite(network: QuantizedNetwork, *, upsample: bool = False) -> bytes:
    """A TFLite file of a calibrated network: input `image` and output `logits`, float32, maps with channels last.

    Codes, steps, zero points and biases are the network's own; activations become int8. Where the network ends in
    up-sampling of its logits, the file ends before it unless `upsample`, see `to_onnx`.

    Raises:
        NetworkError: the network is not calibrated, or an operation has no translation.
    """
    if not all(module.active for module in (*network.layers, *network.quantizers)):
        raise NetworkError("the network is not calibrated: call calibrate or restore before exporting it")
    return _Translation(network, upsample).content()


@final
class _Translation:
    """The state of one translation: the file so far, and what each node of the network became."""

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
                given: Any = node.args[0]
                return self._finish(given[0] if isinstance(given, (tuple, list)) else given, None)
        raise NetworkError("the network has no output")

    def _finish(self, result: fx.Node, last: fx.Node | None) -> bytes:
        found, builder = self.values[result], self.builder
        if not isinstance(found, Codes):
            raise NetworkError("the network's output is not quantized")
        logits = as_floats(builder, found, "logits" if last is None else "floats")
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
        module = self.graph.get_submodule(str(node.target))
        source = self.values[source_of(node)]
        if isinstance(module, ActivationQuantizer):
            return self._quantize(module, source)
        if isinstance(module, QuantizedLayer) and isinstance(source, Codes):
            return layer(self.builder, node, module, source)
        raise NetworkError(f"{node.name} is neither a quantizer nor a layer with a quantized input")

    def _quantize(self, quantizer: ActivationQuantizer, source: Value) -> Codes:
        """Adds the operator that waited, which gives int8 codes, and what limits them where it cannot."""
        if isinstance(source, Codes):
            source = Pending(code="QUANTIZE", inputs=(source.tensor,), shape=source.shape)
        low, high = code_limits(quantizer, source.low, source.high)
        made = self._given(quantizer, source.shape, offset_of(high))
        inputs = [part.tensor for part in self._alike(source.parts, made)] or source.inputs
        least = low + made.offset
        if source.fuses and least == made.zero > -128:
            source.options.fusedActivationFunction = self.builder.schema.ActivationFunctionType.RELU
            least = -128
        self.builder.operator(source.code, inputs, made.tensor, source.options)
        if least == -128:
            return made
        limited = self._given(quantizer, source.shape, made.offset)
        code = self.builder.codes(least, made.step, made.zero)
        options = self.builder.schema.MaximumMinimumOptionsT()
        self.builder.operator("MAXIMUM", (made.tensor, code), limited.tensor, options)
        return limited

    def _given(self, quantizer: ActivationQuantizer, shape: tuple[int, ...], offset: int) -> Codes:
        """A new tensor for a quantizer's codes."""
        made = Codes(tensor=-1, shape=shape, quantizer=quantizer, offset=offset)
        name = quantizer.name
        tensor = self.builder.tensor(name, stored_shape(shape), "INT8", step=made.step, zero=made.zero)
        return replace(made, tensor=tensor)

    def _alike(self, parts: tuple[Codes, ...], wanted: Codes) -> list[Codes]:
        """Parts of a concatenation with the step and zero point of the whole."""
        found = []
        for part in parts:
            made = part
            if (part.step, part.zero) != (wanted.step, wanted.zero):
                made = self._given(wanted.quantizer, part.shape, wanted.offset)
                self.builder.operator("QUANTIZE", (part.tensor,), made.tensor)
            found.append(made)
        return found

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, (list, tuple)):
            return [self._argument(item) for item in argument]
        return self.values.get(argument, argument) if isinstance(argument, fx.Node) else argument

    def _function(self, node: fx.Node) -> Value:
        arguments = [self._argument(argument) for argument in arguments_of(node)]
        source = arguments[0]
        if node.target in ACTIVATIONS:
            return self._activation(node, source)
        layout = translation_of(node.target, "tflite", MOVE_TABLE, layout=True)
        if layout is not None and isinstance(source, Codes):
            codes: Codes = layout(self.builder, source, node, arguments)
            return codes
        translation = translation_of(node.target, "tflite", OPERATION_TABLE, layout=False)
        if translation is not None and isinstance(source, (Codes, list)):
            pending: Pending = translation(self.builder, node, arguments)
            return pending
        raise NetworkError(f"{node.target} ({node.name}) has no translation to TFLite; export the network as ONNX")

    def _activation(self, node: fx.Node, source: Value) -> Pending:
        """A ReLU or ReLU6: limits for the quantizer behind it."""
        low, high = limits_of(node)
        if isinstance(source, Codes):
            source = Pending(code="QUANTIZE", inputs=(source.tensor,), shape=source.shape)
        ends = [min(max(end, low), high) for end in (source.low, source.high)]
        return replace(source, low=ends[0], high=ends[1])
