"""Functions of a captured graph as nodes of an ONNX graph, on codes or on floats."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, final

import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ACTIVATIONS, arguments_of
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of, translation_of
from evo_qnas.networks.export.onnx.fallback import translated_by_torch
from evo_qnas.networks.export.onnx.floats import CASTS, FLOAT_TABLE
from evo_qnas.networks.export.onnx.layout import FILLED_TABLE, LAYOUT_TABLE
from evo_qnas.networks.export.onnx.quantized import QuantizedGraph
from evo_qnas.networks.export.onnx.values import Floats, UInt8Codes, Value

_LAYERS = frozenset({Role.CONVOLUTION, Role.TRANSPOSED_CONVOLUTION, Role.LINEAR})


@final
@dataclass(frozen=True, slots=True)
class Functions:
    """Translates one function after another.

    Attributes:
        quantized: the graph in the making.
        values: what each node before gave: a value, or a list of them.
        constant: the name of the tensor of a `get_attr` node.
    """

    quantized: QuantizedGraph
    values: Mapping[fx.Node, Any]
    constant: Callable[[fx.Node], str]

    def translate(self, node: fx.Node) -> Any:
        """The value of a function, or a list of them.

        Raises:
            NetworkError: the operation has no translation.
        """
        if node.target is operator.getitem:
            return self.values[node.args[0]][node.args[1]]  # type: ignore[index]  # a node of several results
        source = self.values.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
        if node.target in ACTIVATIONS and source is not None and _is_floating(node):
            return self.quantized.activation(node, source)
        if not isinstance(node.target, torch._ops.OpOverload):
            raise NetworkError(f"{node.target} ({node.name}) is no operation of torch: it has no ONNX translation")
        return self._moved(node, source) or self._computed(node)

    def _moved(self, node: fx.Node, source: Any) -> Any:
        """What a layout operation gives, None for other operations."""
        if node.target in CASTS:
            if isinstance(source, UInt8Codes) and _is_floating(node):
                return source
            return CASTS[node.target](self.quantized.builder, node, [self.name(node.args[0])])
        filled = FILLED_TABLE.get(node.target)
        layout = translation_of(node.target, "onnx", LAYOUT_TABLE, layout=True)
        if filled is None and layout is None:
            return None
        codes = source if isinstance(source, UInt8Codes) else Floats(name=self.name(node.args[0]))
        arguments = [codes.name, *map(self._named, arguments_of(node)[1:])]
        builder = self.quantized.builder
        if filled is not None:
            return _like(codes, filled(builder, codes, node, arguments))
        assert layout is not None
        given = layout(builder, codes.name, node, arguments)
        if isinstance(given, str):
            return _like(codes, given)
        results: Any = node.meta["val"]
        return [
            _like(codes, name) if part.is_floating_point() else Floats(name=name)
            for name, part in zip(given, results, strict=False)
        ]

    def _computed(self, node: fx.Node) -> Any:
        translation = translation_of(node.target, "onnx", FLOAT_TABLE, layout=False)
        arguments = [self._named(argument) for argument in arguments_of(node)]
        if translation is None:
            return translated_by_torch(self.quantized.builder, node, self._named)
        source = self.values.get(node.args[0]) if node.args and isinstance(node.args[0], fx.Node) else None
        if isinstance(source, UInt8Codes) and _has_float_weights(node):
            arguments[0] = self.quantized.dequantize_for_floats(source)
        return translation(self.quantized.builder, node, arguments)

    def _named(self, argument: Any) -> Any:
        """Tensor arguments as names of tensors, floats where they are codes; everything else as it is."""
        if isinstance(argument, (list, tuple)):
            return [self._named(item) for item in argument]
        if isinstance(argument, fx.Node) and isinstance(argument.meta.get("val"), torch.Tensor):
            return self.name(argument)
        return argument

    def name(self, argument: Any) -> str:
        """The name of the tensor of a node, of floats where it has codes."""
        if argument.op == "get_attr":
            return self.constant(argument)
        return self.in_floats(self.values[argument])

    def in_floats(self, source: Value) -> str:
        """The name of a value in floats, with all that its quantizer would have done to it but rounding."""
        if isinstance(source, UInt8Codes):
            return self.quantized.dequantize(source)
        builder, name = self.quantized.builder, source.name
        if (source.low, source.high) == (0.0, inf):
            name = builder.node("Relu", name)
        elif (source.low, source.high) != (-inf, inf):
            ends = (builder.constant(end, "float32") for end in (source.low, source.high))
            name = builder.node("Clip", name, *ends)
        if source.shape is not None:
            name = builder.node("Reshape", name, builder.constant(source.shape, "int64"))
        return name


def _is_floating(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _has_float_weights(node: fx.Node) -> bool:
    """True for a layer whose weights are tensors of the network that have no codes."""
    operation = operation_of(node.target)
    return operation is not None and operation.role in _LAYERS and any(s.op == "get_attr" for s in node.all_input_nodes)


def _like(source: Value, name: str) -> Value:
    """Codes of the same quantizer, or floats."""
    return UInt8Codes(name=name, quantizer=source.quantizer) if isinstance(source, UInt8Codes) else Floats(name=name)
