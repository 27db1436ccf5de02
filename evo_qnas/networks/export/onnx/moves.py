"""Operations that only move values, or choose among them: they run on the uint8 codes themselves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.capture.operations.upsampling import resize_scale
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.values import Codes

Move = Callable[[GraphBuilder, Codes, fx.Node, Sequence[Any]], str]


def static_shape(node: fx.Node) -> tuple[int, ...]:
    """A node's output shape with -1 for the batch."""
    return tuple(size if isinstance(size, int) else -1 for size in node.meta["val"].shape)


def pair(value: Any) -> list[int]:
    """Two numbers from one or two."""
    values = [int(v) for v in value] if isinstance(value, (list, tuple)) else [int(value)]
    return values if len(values) == 2 else values * 2


def _same(_builder: GraphBuilder, source: Codes, _node: fx.Node, _arguments: Sequence[Any]) -> str:
    return source.name


def _reshape(builder: GraphBuilder, source: Codes, node: fx.Node, _arguments: Sequence[Any]) -> str:
    return builder.node("Reshape", source.name, builder.constant(static_shape(node), "int64"))


def _permute(builder: GraphBuilder, source: Codes, node: fx.Node, arguments: Sequence[Any]) -> str:
    rank = len(static_shape(node))
    return builder.node("Transpose", source.name, perm=[int(axis) % rank for axis in arguments[1]])


def _transpose(builder: GraphBuilder, source: Codes, node: fx.Node, arguments: Sequence[Any]) -> str:
    order = list(range(len(static_shape(node))))
    first, second = int(arguments[1]), int(arguments[2])
    order[first], order[second] = order[second], order[first]
    return builder.node("Transpose", source.name, perm=order)


def _slice(builder: GraphBuilder, source: Codes, _node: fx.Node, arguments: Sequence[Any]) -> str:
    axis, start, end, step = arguments[1:5]
    end = 2**31 - 1 if end is None or not isinstance(end, int) else min(end, 2**31 - 1)
    values = ([int(start or 0)], [end], [int(axis)], [int(step)])
    return builder.node("Slice", source.name, *(builder.constant(value, "int64") for value in values))


def _select(builder: GraphBuilder, source: Codes, _node: fx.Node, arguments: Sequence[Any]) -> str:
    index = builder.constant(int(arguments[2]), "int64")
    return builder.node("Gather", source.name, index, axis=int(arguments[1]))


def _max_pool(builder: GraphBuilder, source: Codes, _node: fx.Node, arguments: Sequence[Any]) -> str:
    _, kernel, stride, padding, dilation, ceil = arguments
    return builder.node(
        "MaxPool",
        source.name,
        kernel_shape=pair(kernel),
        strides=pair(stride or kernel),
        pads=pair(padding) * 2,
        dilations=pair(dilation),
        ceil_mode=int(ceil),
    )


def _pad(builder: GraphBuilder, source: Codes, node: fx.Node, arguments: Sequence[Any]) -> str:
    widths = [int(width) for width in arguments[1]]
    constant = node.target is ATEN.constant_pad_nd.default
    mode = "constant" if constant else str(arguments[2])
    filling = float((arguments[2] if constant else arguments[3]) or 0.0)
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    if mode not in modes:
        raise NetworkError(f"padding mode {mode!r} of {node.name} has no ONNX twin; use constant, reflect or replicate")
    kept = [0] * (len(static_shape(node)) - len(widths) // 2)
    # torch names the last axis first, each with its two ends together; ONNX all beginnings, then all ends.
    beginnings, ends = widths[0::2][::-1], widths[1::2][::-1]
    inputs = [builder.constant([*kept, *beginnings, *kept, *ends], "int64")]
    if mode == "constant":
        inputs.append(builder.constant(padding_code(source, filling, node), "uint8"))
    return builder.node("Pad", source.name, *inputs, mode=modes[mode])


def padding_code(source: Codes, filling: float, node: fx.Node) -> int:
    """The code that stands for a padding value.

    Raises:
        NetworkError: the value lies between two codes.
    """
    with torch.no_grad():
        value = torch.tensor([filling])
        if not torch.allclose(source.quantizer(value), value, rtol=1e-6, atol=0.0):
            raise NetworkError(f"{node.name} pads with {filling}, which is no code of its input: pad with 0")
        return int(source.quantizer.codes(value))


def _expand(builder: GraphBuilder, source: Codes, node: fx.Node, _arguments: Sequence[Any]) -> str:
    # 1 keeps an axis as it is, whatever the batch.
    shape = [max(1, size) for size in static_shape(node)]
    return builder.node("Expand", source.name, builder.constant(shape, "int64"))


def _nearest(builder: GraphBuilder, source: Codes, node: fx.Node, _arguments: Sequence[Any]) -> str:
    return resize(builder, source.name, node, mode="nearest", coordinates="asymmetric", nearest_mode="floor")


def resize(builder: GraphBuilder, name: str, node: fx.Node, *, mode: str, coordinates: str, **attributes: str) -> str:
    """A `Resize` of the two map axes to the size of the node's output."""
    taken = static_shape(source_of(node))[2:]
    given = static_shape(node)[2:]
    scales = [resize_scale(size, wanted) for size, wanted in zip(taken, given, strict=True)]
    factors = builder.constant([1.0, 1.0, *scales], "float32")
    return builder.node(
        "Resize", name, "", factors, mode=mode, coordinate_transformation_mode=coordinates, **attributes
    )


MOVE_TABLE: Mapping[Any, Move] = {
    ATEN.flatten.using_ints: _reshape,
    ATEN.view.default: _reshape,
    ATEN.reshape.default: _reshape,
    ATEN.squeeze.dim: _reshape,
    ATEN.squeeze.dims: _reshape,
    ATEN.unsqueeze.default: _reshape,
    ATEN.permute.default: _permute,
    ATEN.transpose.int: _transpose,
    ATEN.slice.Tensor: _slice,
    ATEN.select.int: _select,
    ATEN.dropout.default: _same,
    ATEN.dropout_.default: _same,
    ATEN.contiguous.default: _same,
    ATEN.clone.default: _same,
    ATEN.alias.default: _same,
    ATEN.max_pool2d.default: _max_pool,
    ATEN.pad.default: _pad,
    ATEN.constant_pad_nd.default: _pad,
    ATEN.upsample_nearest2d.vec: _nearest,
    ATEN.expand.default: _expand,
}
