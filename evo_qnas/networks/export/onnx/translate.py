"""From a quantized network to an ONNX model, node by node."""

from typing import Any, final

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import float_part_name, last_upsampling, source_of, value
from evo_qnas.networks.export.common.arguments import (
    gives_tensor,
    not_quantized,
    require_calibrated,
    result_of,
    static_shape,
)
from evo_qnas.networks.export.common.parts import Part
from evo_qnas.networks.export.onnx.builder import DOMAIN
from evo_qnas.networks.export.onnx.compose import INPUT_NOTE, output_name
from evo_qnas.networks.export.onnx.dispatch import Functions
from evo_qnas.networks.export.onnx.packed import unpack_function
from evo_qnas.networks.export.onnx.quantized import QuantizedGraph
from evo_qnas.networks.export.onnx.values import Floats, UInt8Codes, Value
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

_ANY = Bits(weight=8, activation=8)


def to_onnx(network: QuantizedNetwork, *, upsample: bool = False) -> Any:
    """An ONNX model of a calibrated network: input `image` and output `logits`, float32, any batch size.

    Where the network ends in up-sampling of its logits, the model ends before it unless `upsample`: see
    `Runtime.write`.

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
    require_calibrated(network)
    return _Translation(network, part).model()


def names_of_codes(network: QuantizedNetwork) -> dict[str, str]:
    """The tensors of codes in the file of a calibrated network, by the names of the nodes that make them."""
    translation = _Translation(network, Part())
    translation.model()
    names = {}
    for node, made in translation.values.items():
        if node.op == "call_module" and isinstance(made, UInt8Codes):
            names[node.name] = made.name
    return names


def blocks_of(graph: fx.GraphModule, blocks: tuple[str, ...]) -> dict[fx.Node, str]:
    """The block of each node that is inside one of `blocks`."""
    policy = Policy(fixed=_ANY, blocks=dict.fromkeys(blocks, _ANY))
    return {node: block for node in graph.graph.nodes if (block := policy.block_of(node))}


@final
class _Translation:
    """The state of one translation: the graph so far, and the value of each node of the network in it."""

    def __init__(self, network: QuantizedNetwork, part: Part) -> None:
        self.graph, self.part = network.graph, part
        self.left_out = None if part.upsample else last_upsampling(network.graph)
        self.inside = blocks_of(network.graph, part.blocks)
        self.quantized = QuantizedGraph()
        self.builder = self.quantized.builder
        self.values: dict[fx.Node, Any] = {}
        self.functions = Functions(self.quantized, self.values, self._constant)

    def model(self) -> Any:
        """The whole model."""
        kind = "UINT8" if self.part.codes else "FLOAT"
        for node in self.graph.graph.nodes:
            if node == self.left_out or node.op == "output":
                return self._finish(node)
            if self.inside.get(node):
                self._left_out_block(node)
            elif node.op == "placeholder":
                name = self.builder.expose("input", "image", kind, static_shape(node)[1:])
                self.values[node] = Floats(name=name)
            elif node.op == "call_module":
                self.values[node] = self._module(node)
            elif gives_tensor(node):
                self.values[node] = self.functions.translate(node)
        raise NetworkError("the network has no output")

    def _finish(self, node: fx.Node) -> Any:
        result = result_of(node)
        last, shape = self.values[result], static_shape(result)[1:]
        if isinstance(last, UInt8Codes) and self.part.codes:
            if last.name == "image":
                raise NetworkError("the network gives its input: there is nothing to export")
            self.builder.rename(last.name, "logits")
        elif isinstance(last, UInt8Codes):
            self.quantized.dequantize(last, output="logits")
        else:
            self.builder.node("Identity", self.functions.in_floats(last), output="logits")
        self.builder.expose("output", "logits", "UINT8" if self.part.codes else "FLOAT", shape)
        packed = any(entry.domain == DOMAIN for entry in self.builder.nodes)
        return self.builder.model(functions=[unpack_function()] if packed else [])

    def _left_out_block(self, node: fx.Node) -> None:
        """A node of a block that is left out: the block's inputs become outputs of the model, its output an input."""
        block = self.inside[node]
        for source in node.all_input_nodes:
            codes = self.values.get(source)
            if self.inside.get(source) != block and isinstance(codes, UInt8Codes):
                self.builder.expose("output", codes.name, "UINT8", static_shape(source)[1:])
                self.builder.notes[f"{INPUT_NOTE}{block}"] = codes.name
        if any(self.inside.get(reader) != block for reader in node.users):
            quantizer = self._quantizer(node)
            self.quantized.store(quantizer)
            name = self.builder.expose("input", output_name(block), "UINT8", static_shape(node)[1:])
            self.values[node] = UInt8Codes(name=name, quantizer=quantizer)

    def _quantizer(self, node: fx.Node) -> ActivationQuantizer:
        """The quantizer from which a node's codes come."""
        source: Any = node
        while isinstance(source, fx.Node) and source.op == "call_function":
            source = source.args[0]
        module = self.graph.get_submodule(str(source.target)) if source.op == "call_module" else None
        if not isinstance(module, ActivationQuantizer):
            raise NetworkError(f"what block {self.inside[node]!r} gives is not quantized: it cannot be left out")
        return module

    def _constant(self, node: fx.Node) -> str:
        """The name of the tensor of a `get_attr` node, stored once."""
        name, tensor = float_part_name(node), value(self.graph, node)
        if tensor is None:
            raise NetworkError(f"{node.target} is no tensor")
        return name if name in self.builder.constants else self.builder.stored(name, tensor.numpy(force=True))

    def _module(self, node: fx.Node) -> Value:
        given = source_of(node)
        source: Value = Floats(name=self._constant(given)) if given.op == "get_attr" else self.values[given]
        module = self.graph.get_submodule(str(node.target))
        if isinstance(module, QuantizedLayer) and isinstance(source, UInt8Codes):
            return self.quantized.layer(node, module, source)
        if not isinstance(module, ActivationQuantizer):
            raise not_quantized(node)
        if self.part.codes and source.name == "image":
            self.quantized.store(module)
            return UInt8Codes(name="image", quantizer=module)
        return self.quantized.quantize(module, source)
