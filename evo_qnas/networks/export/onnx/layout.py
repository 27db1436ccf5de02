"""Layout operations: they move values, or choose among them, and run on the uint8 codes themselves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.capture.operations.upsampling import resize_scale
from evo_qnas.networks.export.common.arguments import pair, static_shape
from evo_qnas.networks.export.common.codes import padding_code, padding_of
from evo_qnas.networks.export.common.layout import IDENTITIES, RESHAPES
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.values import UInt8Codes

# The name of the input, the node, and its arguments as they stand in the graph.
LayoutOperation = Callable[[GraphBuilder, str, fx.Node, Sequence[Any]], str]


def _identity(_builder: GraphBuilder, source: str, _node: fx.Node, _arguments: Sequence[Any]) -> str:
    return source


def _reshape(builder: GraphBuilder, source: str, node: fx.Node, _arguments: Sequence[Any]) -> str:
    return builder.node("Reshape", source, builder.constant(static_shape(node), "int64"))


def _permute(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    rank = len(static_shape(node))
    return builder.node("Transpose", source, perm=[int(axis) % rank for axis in arguments[1]])


def _transpose(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    order = list(range(len(static_shape(node))))
    first, second = int(arguments[1]), int(arguments[2])
    order[first], order[second] = order[second], order[first]
    return builder.node("Transpose", source, perm=order)


def _slice(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    axis, start, end, step = arguments[1:5]
    end = 2**31 - 1 if end is None or not isinstance(end, int) else min(end, 2**31 - 1)
    values = ([int(start or 0)], [end], [int(axis)], [int(step)])
    return builder.node("Slice", source, *(builder.constant(value, "int64") for value in values))


def _select(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    index = builder.constant(int(arguments[2]), "int64")
    return builder.node("Gather", source, index, axis=int(arguments[1]))


def _max_pool(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    _, kernel, stride, padding, dilation, ceil = arguments
    return builder.node(
        "MaxPool",
        source,
        kernel_shape=pair(kernel),
        strides=pair(stride or kernel),
        pads=pair(padding) * 2,
        dilations=pair(dilation),
        ceil_mode=int(ceil),
    )


def pad(builder: GraphBuilder, source: UInt8Codes, node: fx.Node, arguments: Sequence[Any]) -> str:
    """Codes with a rim, as a padding node asks for it.

    Raises:
        NetworkError: ONNX does not know the mode, or no code stands for the padding value.
    """
    padding = padding_of(node, arguments)
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    if padding.mode not in modes:
        raise NetworkError(
            f"padding mode {padding.mode!r} of {node.name} has no ONNX counterpart; use constant, reflect or replicate"
        )
    kept = [0] * (len(static_shape(node)) - len(padding.widths) // 2)
    # torch names the last axis first, each with its two sides together; ONNX all beginnings, then all endings.
    before, after = padding.widths[0::2][::-1], padding.widths[1::2][::-1]
    inputs = [builder.constant([*kept, *before, *kept, *after], "int64")]
    if padding.mode == "constant":
        inputs.append(builder.constant(padding_code(source.quantizer, padding.filling, node), "uint8"))
    return builder.node("Pad", source.name, *inputs, mode=modes[padding.mode])


def _expand(builder: GraphBuilder, source: str, node: fx.Node, _arguments: Sequence[Any]) -> str:
    # 1 keeps an axis as it is, whatever the batch.
    shape = [max(1, size) for size in static_shape(node)]
    return builder.node("Expand", source, builder.constant(shape, "int64"))


def _nearest(builder: GraphBuilder, source: str, node: fx.Node, _arguments: Sequence[Any]) -> str:
    return resize(builder, source, node, mode="nearest", coordinates="asymmetric", nearest_mode="floor")


def resize(builder: GraphBuilder, name: str, node: fx.Node, *, mode: str, coordinates: str, **attributes: str) -> str:
    """A `Resize` of the two map axes to the size of the node's output."""
    sizes = zip(static_shape(source_of(node))[2:], static_shape(node)[2:], strict=True)
    scales = [resize_scale(size, target) for size, target in sizes]
    factors = builder.constant([1.0, 1.0, *scales], "float32")
    return builder.node(
        "Resize", name, "", factors, mode=mode, coordinate_transformation_mode=coordinates, **attributes
    )


LAYOUT_TABLE: Mapping[Any, LayoutOperation] = {
    **dict.fromkeys(RESHAPES, _reshape),
    **dict.fromkeys(IDENTITIES, _identity),
    ATEN.permute.default: _permute,
    ATEN.transpose.int: _transpose,
    ATEN.slice.Tensor: _slice,
    ATEN.select.int: _select,
    ATEN.max_pool2d.default: _max_pool,
    ATEN.upsample_nearest2d.vec: _nearest,
    ATEN.expand.default: _expand,
}
