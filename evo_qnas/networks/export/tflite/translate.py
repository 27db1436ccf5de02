"""From a quantized network to a TFLite file, node by node."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, final

import numpy as np
import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ACTIVATIONS, LAYOUT, float_part_name, last_upsampling, source_of, value
from evo_qnas.networks.capture.operations.operation import Role, arguments_of
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.signature import LOGITS, input_names, output_names, results_of
from evo_qnas.networks.export.common.arguments import narrowed_limits, not_quantized, require_calibrated
from evo_qnas.networks.export.tflite.arithmetic import ARITHMETIC_TABLE
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.decompose import decomposed
from evo_qnas.networks.export.tflite.functions import FUNCTION_TABLE
from evo_qnas.networks.export.tflite.layers import layer
from evo_qnas.networks.export.tflite.layout import MOVE_TABLE
from evo_qnas.networks.export.tflite.moves import in_order, placed, renewed
from evo_qnas.networks.export.tflite.nodes import constant_of, depends_on_nothing, is_aten, line_of
from evo_qnas.networks.export.tflite.normalization import NORMALIZATION_TABLE
from evo_qnas.networks.export.tflite.numbers import as_floats, clamped, constant
from evo_qnas.networks.export.tflite.one_image import for_one_image
from evo_qnas.networks.export.tflite.operations import OPERATION_TABLE, are_codes, requantized
from evo_qnas.networks.export.tflite.reductions import REDUCTION_TABLE
from evo_qnas.networks.export.tflite.resizing import RESIZING_TABLE
from evo_qnas.networks.export.tflite.rounding import quantized, recoded
from evo_qnas.networks.export.tflite.values import (
    IMAGES,
    Constant,
    Pending,
    Tensor,
    Value,
    kind_of,
    one_image,
    outer_order,
    shape_of,
)
from evo_qnas.networks.export.tflite.watching import Watched
from evo_qnas.networks.export.tflite.weights import embedded
from evo_qnas.networks.export.tflite.windows import POOLING_TABLE
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

FLOAT_TABLE: Mapping[Any, Any] = {
    **ARITHMETIC_TABLE,
    **FUNCTION_TABLE,
    **NORMALIZATION_TABLE,
    **REDUCTION_TABLE,
    **POOLING_TABLE,
    **RESIZING_TABLE,
}


def to_tflite(network: QuantizedNetwork, *, upsample: bool = False) -> bytes:
    """A TFLite file of a calibrated network: input `image` and output `logits`, float32, maps with channels last.

    Codes, steps, zero points and biases are the network's own; activations become int8. What has no integer kernel is
    computed in floats between DEQUANTIZE and QUANTIZE. Where the network ends in up-sampling of its logits, the file
    ends before it unless `upsample`, see `Runtime.write`.

    Raises:
        NetworkError: the network is not calibrated, or operations have no translation: all of them are named.
    """
    require_calibrated(network)
    return Translation(network, upsample).content()


@final
class Translation:
    """The state of one translation: the file so far, and the value of each node of the network in it."""

    def __init__(self, network: QuantizedNetwork, upsample: bool) -> None:
        self.network, self.upsample = network.graph, upsample
        self.graph = for_one_image(network.graph)
        self.last = last_upsampling(self.graph)
        self.names = {node.name: name for node, name in input_names(network.graph).items()}
        self.builder = TfliteBuilder()
        self.values: dict[fx.Node, Value] = {}
        self.inputs: dict[str, int] = {}
        self.codes: dict[str, Watched] = {}
        self.refused: list[str] = []

    def content(self) -> bytes:
        """The whole file."""
        for node in self.graph.graph.nodes:
            if node == self.last and not self.upsample:
                return self._finish([(source_of(node), LOGITS)])
            if node.op == "output":
                return self._finish(self._results())
            if node.op == "placeholder":
                self.values[node] = self._input(node) if node.name in self.names else None
            else:
                self._translate(node)
        raise NetworkError("the network has no output")

    def _input(self, node: fx.Node) -> Tensor:
        shape, kind, name = shape_of(node), kind_of(node.meta["val"].dtype), self.names[node.name]
        order = outer_order(len(shape))
        self.inputs[name] = self.builder.tensor(name, [shape[axis] for axis in order], kind)
        return Tensor(tensor=self.inputs[name], shape=shape, order=order, kind=kind)

    def _results(self) -> list[tuple[fx.Node, str]]:
        """The nodes whose tensors the network gives, and their names in the file."""
        own = {node.name: node for node in self.graph.graph.nodes}
        pairs = zip(results_of(self.network), output_names(self.network), strict=True)
        return [(own[node.name], name) for node, name in pairs if isinstance(node, fx.Node) and name]

    def _finish(self, results: Sequence[tuple[fx.Node, str]]) -> bytes:
        if self.refused:
            raise NetworkError("; ".join(self.refused))
        outputs: dict[str, int] = {}
        for node, name in results:
            made = self.values[node]
            if isinstance(made, (Tensor, Constant)):
                outputs[name] = self._exposed(placed(self.builder, made), name, {*outputs.values()}).tensor
        return self.builder.content(inputs=self.inputs, outputs=outputs)

    def _exposed(self, made: Tensor, name: str, taken: set[int]) -> Tensor:
        """A value as an output of the file."""
        made = in_order(self.builder, made, outer_order(len(made.shape)))
        if made.quantizer is not None:
            return as_floats(self.builder, made, name)
        if made.tensor in {*taken, *self.inputs.values()} or self.builder.tensors[made.tensor].buffer:
            made = renewed(self.builder, made)
        self.builder.tensors[made.tensor].name = name
        return made

    def _translate(self, node: fx.Node) -> None:
        """The value of a node; where it has no translation, a reason to refuse, and numbers of its shape to go on."""
        try:
            self.values[node] = self._value(node)
        except NetworkError as error:
            self.refused.append(f"{error}{line_of(node)}")
            self.values[node] = self._stand_in(node)

    def _stand_in(self, node: fx.Node) -> Value:
        made = node.meta.get("val")
        if isinstance(made, (list, tuple)):
            return [self._empty(shape_of(node, index), part.dtype) for index, part in enumerate(made)]
        return self._empty(shape_of(node), made.dtype) if isinstance(made, torch.Tensor) else None

    def _empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return placed(self.builder, constant(np.zeros(shape), kind_of(dtype)))

    def _value(self, node: fx.Node) -> Value:
        if node.op == "get_attr":
            tensor = value(self.graph, node)
            return None if tensor is None else constant_of(float_part_name(node), tensor)
        if node.op == "call_module":
            return self._module(node)
        made = node.meta.get("val")
        if isinstance(made, (int, float, bool, torch.SymInt, torch.SymFloat, torch.SymBool)):
            return one_image(made)
        arguments = [self._argument(argument) for argument in arguments_of(node)] if is_aten(node) else []
        if not is_aten(node):
            source, index = self._argument(list(node.args))
            return source[index]
        return self._function(node, arguments)

    def _module(self, node: fx.Node) -> Value:
        source = self._argument(node.args[0])
        module = self.graph.get_submodule(str(node.target))
        if isinstance(module, QuantizedLayer) and module.role is Role.EMBEDDING:
            return embedded(self.builder, module, placed(self.builder, source))
        if isinstance(module, QuantizedLayer) and are_codes(source):
            return layer(self.builder, node, module, source)
        if not isinstance(module, ActivationQuantizer):
            raise not_quantized(node)
        made = quantized(self.builder, module, source)
        self._watch(node, made)
        return made

    def _watch(self, node: fx.Node, made: Tensor) -> None:
        """Keeps where the codes of a node are, for a comparison."""
        if isinstance(node.meta.get(IMAGES), torch.Tensor):
            sizes = zip(node.meta[IMAGES].shape, made.shape, strict=True)
            axes = [axis for axis, (several, one) in enumerate(sizes) if not isinstance(several, int) or several != one]
            self.codes[node.name] = Watched(tensor=made, images=axes[0] if axes else None)

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, (list, tuple)):
            return [self._argument(item) for item in argument]
        if isinstance(argument, fx.Node):
            return self.values[argument]
        return one_image(argument)

    def _function(self, node: fx.Node, arguments: list[Any]) -> Value:
        source = arguments[0] if arguments else None
        operation = operation_of(node.target)
        own = None if operation is None else operation.translations.get("tflite")
        if node.target in ACTIVATIONS:
            return self._activation(node, source)
        if depends_on_nothing(arguments):
            return self._evaluated(node)
        layout = MOVE_TABLE.get(node.target) or (own if node.target in LAYOUT else None)
        if layout is not None and isinstance(source, (Tensor, Constant)):
            return layout(self.builder, placed(self.builder, source), node, arguments)
        row = OPERATION_TABLE.get(node.target)
        if row is not None and self._is_rounded(node):
            pending = row(self.builder, node, arguments)
            if pending is not None:
                return pending
        if own is not None:
            return own(self.builder, node, arguments)
        made = self._in_floats(node, [self._floats(argument) for argument in arguments])
        return recoded(self.builder, made, source) if node.target in LAYOUT and isinstance(source, Tensor) else made

    def _is_rounded(self, node: fx.Node) -> bool:
        """True where a quantizer stands behind a node, or behind the activation that is its reader."""
        for reader in node.users:
            if reader.op == "call_module":
                return True
            if reader.target in ACTIVATIONS and self._is_rounded(reader):
                return True
        return False

    def _activation(self, node: fx.Node, source: Value) -> Value:
        """A ReLU, ReLU6 or any other limits: for the quantizer behind it, else in floats."""
        if self._is_rounded(node):
            source = source if isinstance(source, Pending) else requantized(placed(self.builder, source))
            low, high = narrowed_limits(node, source.low, source.high)
            return replace(source, low=low, high=high)
        low, high = narrowed_limits(node, -inf, inf)
        return clamped(self.builder, self._floats(source), low, high)

    def _floats(self, argument: Any) -> Any:
        if isinstance(argument, list):
            return [self._floats(item) for item in argument]
        return as_floats(self.builder, argument) if isinstance(argument, Tensor) else argument

    def _in_floats(self, node: fx.Node, arguments: list[Any]) -> Value:
        row = FLOAT_TABLE.get(node.target)
        if row is not None:
            return row(self.builder, node, arguments)
        sources = [source for source in node.all_input_nodes if isinstance(source.meta["val"], torch.Tensor)]
        graph = decomposed(node, sources)
        if graph is None:
            raise NetworkError(
                f"{node.target} ({node.name}) has no translation to TFLite: leave its block out, or write one, see "
                "`Operation.translations`"
            )
        floats = [self._floats(self.values[source]) for source in sources]
        return self._inner(graph, floats)

    def _inner(self, graph: fx.GraphModule, given: list[Any]) -> Value:
        """What a graph of floats gives."""
        waiting = iter(given)
        for node in graph.graph.nodes:
            if node.op == "placeholder":
                self.values[node] = next(waiting)
            elif node.op == "get_attr":
                tensor = getattr(graph, str(node.target))
                self.values[node] = constant_of("", tensor)
            elif node.op == "output":
                return self._argument(node.args[0])
            else:
                self.values[node] = self._value_inside(node)
        raise NetworkError("a decomposed operation has no output")

    def _value_inside(self, node: fx.Node) -> Value:
        if not is_aten(node):
            source, index = self._argument(list(node.args))
            return source[index]
        arguments = [self._argument(argument) for argument in arguments_of(node)]
        if depends_on_nothing(arguments):
            return self._evaluated(node)
        layout, source = MOVE_TABLE.get(node.target), arguments[0]
        if layout is not None and isinstance(source, (Tensor, Constant)):
            return layout(self.builder, placed(self.builder, source), node, arguments)
        return self._in_floats(node, arguments)

    def _evaluated(self, node: fx.Node) -> Value:
        """A node that reads nothing but numbers, computed here."""
        target: Any = node.target

        def given(argument: Any) -> Any:
            if isinstance(argument, (list, tuple)):
                return [given(item) for item in argument]
            found = self.values[argument] if isinstance(argument, fx.Node) else one_image(argument)
            return torch.from_numpy(np.array(found.array)) if isinstance(found, Constant) else found

        keywords = {name: given(item) for name, item in node.kwargs.items() if name not in ("device", "pin_memory")}
        made = target(*given(list(node.args)), **keywords)
        parts = [constant_of("", part) for part in made] if isinstance(made, (list, tuple)) else None
        return constant_of("", made) if parts is None else parts
