"""From a quantized network to an ONNX model, node by node."""

from typing import Any, final

import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import float_part_name, last_upsampling, source_of, value
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.signature import input_names, output_names, results_of
from evo_qnas.networks.export.common.arguments import (
    gives_tensor,
    not_quantized,
    require_calibrated,
    static_shape,
)
from evo_qnas.networks.export.common.parts import Part
from evo_qnas.networks.export.onnx.builder import DOMAIN
from evo_qnas.networks.export.onnx.compose import INPUT_NOTE, output_name
from evo_qnas.networks.export.onnx.dispatch import Functions
from evo_qnas.networks.export.onnx.expressions import cast
from evo_qnas.networks.export.onnx.packed import unpack_function
from evo_qnas.networks.export.onnx.quantized import QuantizedGraph
from evo_qnas.networks.export.onnx.values import Floats, UInt8Codes, Value
from evo_qnas.networks.quantization.floats import HALF, rounded_to_half
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

# Element types of ONNX for those of torch that are no floats.
_KINDS = {torch.int64: "INT64", torch.int32: "INT32", torch.bool: "BOOL", torch.uint8: "UINT8", torch.int8: "INT8"}
_ANY = Bits(weight=8, activation=8)


def to_onnx(network: QuantizedNetwork, *, upsample: bool = False) -> Any:
    """An ONNX model of a calibrated network: input `image` and output `logits`, float32, any batch size.

    Networks of several tensors have inputs named as arguments, outputs as paths in what the network gives.

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
        self.widened: dict[str, str] = {}
        self.functions = Functions(self.quantized, self.values, self._constant)

    def model(self) -> Any:
        """The whole model."""
        names = input_names(self.graph)
        for node in self.graph.graph.nodes:
            if node == self.left_out or node.op == "output":
                return self._finish(node)
            if self.inside.get(node):
                self._left_out_block(node)
            elif node.op == "placeholder" and node in names:
                shape = static_shape(node)
                kind = self._kind(node)
                name = self.builder.expose("input", names[node], kind, shape[1:], batch=self._batch(node))
                self.values[node] = Floats(name=name)
            elif node.op == "call_module":
                self.values[node] = self._module(node)
            elif gives_tensor(node):
                self.values[node] = self.functions.translate(node)
        raise NetworkError("the network has no output")

    def _finish(self, node: fx.Node) -> Any:
        if node == self.left_out:
            self._expose(source_of(node), "logits")
        else:
            exposed: dict[fx.Node, str] = {}
            for result, name in zip(results_of(self.graph), output_names(self.graph), strict=True):
                if isinstance(result, fx.Node) and isinstance(result.meta.get("val"), torch.Tensor):
                    self._expose(result, name, again=exposed.get(result))
                    exposed[result] = name
        packed = any(entry.domain == DOMAIN for entry in self.builder.nodes)
        return self.builder.model(functions=[unpack_function()] if packed else [])

    def _expose(self, result: fx.Node, name: str, *, again: str | None = None) -> None:
        """Makes the value of a node an output of the model."""
        given = self._constant(result) if result.op == "get_attr" else None
        last: Any = self.values[result] if given is None else Floats(name=given)
        kind, shape = self._kind(result), static_shape(result)[1:]
        if isinstance(last, UInt8Codes) and self.part.codes:
            if result.op == "placeholder" or last.name in input_names(self.graph).values():
                raise NetworkError("the network gives its input: there is nothing to export")
            self.builder.rename(last.name, name)
        elif isinstance(last, UInt8Codes) and again is None:
            self.quantized.dequantize(last, output=name)
        else:
            self.builder.node("Identity", again or self.functions.in_floats(last), output=name)
        self.builder.expose("output", name, kind, shape, batch=self._batch(result))

    def _kind(self, node: fx.Node) -> str:
        """The element type of an input or output."""
        dtype = node.meta["val"].dtype
        if dtype.is_floating_point:
            return "UINT8" if self.part.codes else "FLOAT"
        return _KINDS.get(dtype, "INT64")

    def _batch(self, node: fx.Node) -> Any:
        """The first size of an input or output: `n` for any batch, else a number or another name; None without axes."""
        sizes = node.meta["val"].shape
        if not len(sizes):
            return None
        size = sizes[0]
        if isinstance(size, int):
            return size
        return "n" if str(size.node.expr).isidentifier() else f"n_{node.name}"

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
        if not node.meta.get(HALF):
            return name if name in self.builder.constants else self.builder.stored(name, tensor.numpy(force=True))
        if name not in self.widened:
            self.builder.stored(name, rounded_to_half(tensor).numpy(force=True))
            self.widened[name] = cast(self.builder, name, torch.float32)
        return self.widened[name]

    def _module(self, node: fx.Node) -> Value:
        given = source_of(node)
        source: Value = Floats(name=self._constant(given)) if given.op == "get_attr" else self.values[given]
        module = self.graph.get_submodule(str(node.target))
        if isinstance(module, QuantizedLayer) and module.role is Role.EMBEDDING:
            return self.quantized.embedding(module, source.name)
        if isinstance(module, QuantizedLayer) and isinstance(source, UInt8Codes):
            return self.quantized.layer(node, module, source)
        if not isinstance(module, ActivationQuantizer):
            raise not_quantized(node)
        if self.part.codes and given.op == "placeholder":
            self.quantized.store(module)
            return UInt8Codes(name=source.name, quantizer=module)
        return self.quantized.quantize(module, source)
