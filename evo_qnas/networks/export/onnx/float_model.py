"""Float networks as ONNX models, against which quantized networks are timed."""

from typing import Any

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import capture, last_upsampling, value
from evo_qnas.networks.export.common.arguments import gives_tensor, result_of, static_shape
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.dispatch import Functions
from evo_qnas.networks.export.onnx.quantized import QuantizedGraph
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
    quantized, values = QuantizedGraph(), dict[fx.Node, Any]()
    builder = quantized.builder
    functions = Functions(quantized, values, lambda node: _constant(builder, graph, node))
    for node in graph.graph.nodes:
        tensor = value(graph, node)
        if tensor is not None:
            node.meta.setdefault("val", torch.empty_like(tensor, device="meta"))
        elif node.op == "placeholder":
            values[node] = Floats(name=builder.expose("input", "image", "FLOAT", static_shape(node)[1:]))
        elif node == left_out or node.op == "output":
            result = result_of(node)
            builder.node("Identity", functions.in_floats(values[result]), output="logits")
            builder.expose("output", "logits", "FLOAT", static_shape(result)[1:])
            return builder.model(functions=[])
        elif gives_tensor(node):
            values[node] = _materialized(functions, functions.translate(node))
    raise NetworkError("the network has no output")


def _materialized(functions: Functions, made: Any) -> Any:
    """Values with no limits left for a quantizer."""
    if isinstance(made, list):
        return [_materialized(functions, part) for part in made]
    return Floats(name=functions.in_floats(made))


def _constant(builder: GraphBuilder, graph: fx.GraphModule, node: fx.Node) -> str:
    tensor: Any = value(graph, node)
    return builder.constant(tensor.numpy(force=True), str(tensor.dtype).removeprefix("torch."))
