"""Float networks as ONNX models, against which quantized networks are timed."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import (
    ACTIVATIONS,
    CONVOLUTIONS,
    LINEAR,
    arguments_of,
    capture,
    last_upsampling,
    limits_of,
    value,
)
from evo_qnas.networks.capture.operations.registry import translation_of
from evo_qnas.networks.export.common.arguments import (
    convolution_arguments,
    gives_tensor,
    result_of,
    static_shape,
)
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.floats import FLOAT_TABLE
from evo_qnas.networks.export.onnx.layout import LAYOUT_TABLE
from evo_qnas.networks.export.onnx.values import Floats


def float_to_onnx(network: nn.Module, example: Float[torch.Tensor, "n ..."], *, upsample: bool = False) -> Any:
    """An ONNX model of a float network with BatchNorm folded: input `image` and output `logits`, any batch size.

    Args:
        network: stays unchanged.
        example: two images or more.
        upsample: with the up-sampling at the network's end, see `to_onnx`.

    Raises:
        NetworkError: the network cannot be captured, or an operation has no translation.
    """
    graph = capture(network, example)
    left_out = None if upsample else last_upsampling(graph)
    builder, names = GraphBuilder(), dict[fx.Node, str]()
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            names[node] = builder.expose("input", "image", "FLOAT", static_shape(node)[1:])
        elif node == left_out or node.op == "output":
            result = result_of(node)
            builder.node("Identity", names[result], output="logits")
            builder.expose("output", "logits", "FLOAT", static_shape(result)[1:])
            return builder.model(functions=[])
        elif gives_tensor(node):
            names[node] = _operation(builder, graph, node, names)
    raise NetworkError("the network has no output")


def _operation(builder: GraphBuilder, graph: fx.GraphModule, node: fx.Node, names: Mapping[fx.Node, str]) -> str:
    """The name of an operation's output."""
    arguments: list[Any] = [_named(builder, graph, names, argument) for argument in arguments_of(node)]
    if node.target in (*CONVOLUTIONS, *LINEAR, *ACTIVATIONS):
        return _layer(builder, graph, node, arguments)
    layout = translation_of(node.target, "onnx", LAYOUT_TABLE, layout=True)
    if layout is not None:
        moved: str = layout(builder, arguments[0], node, arguments)
        return moved
    translation = translation_of(node.target, "onnx", FLOAT_TABLE, layout=False)
    if translation is not None:
        floats: Floats = translation(builder, node, arguments)
        if floats.shape is None:
            return floats.name
        return builder.node("Reshape", floats.name, builder.constant(floats.shape, "int64"))
    raise NetworkError(f"{node.target} ({node.name}) has no ONNX translation in floats")


def _named(builder: GraphBuilder, graph: fx.GraphModule, names: Mapping[fx.Node, str], argument: Any) -> Any:
    """Tensor arguments as names, everything else as it is."""
    if isinstance(argument, (list, tuple)):
        return [_named(builder, graph, names, item) for item in argument]
    if not isinstance(argument, fx.Node):
        return argument
    constant = value(graph, argument)
    return names.get(argument) if constant is None else builder.constant(constant.numpy(force=True), "float32")


def _layer(builder: GraphBuilder, graph: fx.GraphModule, node: fx.Node, arguments: Sequence[Any]) -> str:
    """A convolution, a linear layer, or a ReLU-like node."""
    if node.target in LINEAR:
        weight = builder.node("Transpose", arguments[1], perm=[1, 0])
        product = builder.node("MatMul", arguments[0], weight)
        return product if arguments[2] is None else builder.node("Add", product, arguments[2])
    if node.target in ACTIVATIONS:
        low, high = limits_of(node)
        if (low, high) == (0.0, float("inf")):
            return builder.node("Relu", arguments[0])
        return builder.node("Clip", arguments[0], *(builder.constant(limit, "float32") for limit in (low, high)))
    weights = value(graph, node.args[1])
    if weights is None:
        raise NetworkError(f"the weights of {node.name} are computed while the network runs: they cannot be stored")
    strides, pads, dilations, groups = convolution_arguments(weights.shape, node.args[3:])
    inputs = [name for name in arguments[:3] if name is not None]
    return builder.node("Conv", *inputs, strides=strides, pads=pads, dilations=dilations, group=groups)
