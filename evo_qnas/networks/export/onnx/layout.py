"""Layout operations: they move values, or choose among them, and run on the uint8 codes themselves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.capture.operations.upsampling import scales_of
from evo_qnas.networks.export.common.arguments import mean_axes, static_shape, window
from evo_qnas.networks.export.common.codes import padding_code, padding_of
from evo_qnas.networks.export.common.layout import IDENTITIES, RESHAPES
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import LayoutOperation, integers, reshaped, result_type
from evo_qnas.networks.export.onnx.parts import PARTS, sliced
from evo_qnas.networks.export.onnx.values import UInt8Codes, Value

# Operations that fill in a value of their own: they take the codes with their quantizer.
FilledOperation = Callable[[GraphBuilder, Value, fx.Node, Sequence[Any]], str]


def _identity(_builder: GraphBuilder, source: str, _node: fx.Node, _arguments: Sequence[Any]) -> str:
    return source


def _reshape(builder: GraphBuilder, source: str, node: fx.Node, _arguments: Sequence[Any]) -> str:
    return reshaped(builder, source, node.meta["val"].shape)


def _max_pool(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    _, kernel, stride, padding, dilation, ceil = arguments
    shape = window(node, kernel, stride, padding, dilation)
    pads = [*shape.padding, *shape.padding]
    if ceil:
        beyond = shape.beyond(static_shape(source_of(node))[2:], static_shape(node)[2:])
        pads = [*shape.padding, *(own + more for own, more in zip(shape.padding, beyond, strict=True))]
    return builder.node(
        "MaxPool",
        source,
        kernel_shape=list(shape.kernel),
        strides=list(shape.stride),
        pads=pads,
        dilations=list(shape.dilation),
        ceil_mode=0,
    )


def _adaptive_max_pool(builder: GraphBuilder, source: str, node: fx.Node, _arguments: Sequence[Any]) -> list[str]:
    """Values alone; where windows differ in size, the largest of each row of windows, axis by axis."""
    results: Any = node.meta["val"]
    if any(user.args[1] == 1 and user.users for user in node.users):
        raise NetworkError(f"the positions that {node.name} gives have no ONNX translation here")
    before, after = static_shape(source_of(node))[2:], [int(size) for size in results[0].shape[2:]]
    if not any(size % target for size, target in zip(before, after, strict=True)):
        kernel = [size // target for size, target in zip(before, after, strict=True)]
        return [builder.node("MaxPool", source, kernel_shape=kernel, strides=kernel)]
    for axis, (size, target) in enumerate(zip(before, after, strict=True), start=2):
        rows = []
        for place in range(target):
            start, end = place * size // target, -(-(place + 1) * size // target)
            piece = sliced(builder, source, axis, start=start, end=end)
            rows.append(builder.node("ReduceMax", piece, integers(builder, [axis]), keepdims=1))
        source = rows[0] if len(rows) == 1 else builder.node("Concat", *rows, axis=axis)
    return [source]


def _extreme(operation: str, position: str = "") -> LayoutOperation:
    """The largest or smallest values over axes, with their positions where `position` gives them."""

    def translate(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> Any:
        rank = len(source_of(node).meta["val"].shape)
        axes = [arguments[1]] if position else (arguments[1] if len(arguments) > 1 else None)
        keep = bool(arguments[2]) if len(arguments) > 2 else False
        chosen = mean_axes(axes or None, rank)
        values = builder.node(operation, source, integers(builder, chosen), keepdims=int(keep))
        if not position:
            return values
        if not any(user.args[1] == 1 and user.users for user in node.users):
            return [values]
        return [values, builder.node(position, source, axis=chosen[0], keepdims=int(keep))]

    return translate


# Nearest values along one axis, by whether centres of positions count.
_LINES = {False: ATEN.upsample_nearest1d.vec, True: ATEN._upsample_nearest_exact1d.vec}


def _nearest(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    """Each value several times where sizes are multiples; else the values at positions that torch itself tells."""
    sizes = list(zip(static_shape(source_of(node))[2:], static_shape(node)[2:], strict=True))
    exact = "exact" in str(node.target)
    if not exact and not any(target % size for size, target in sizes):
        return resize(builder, source, node, mode="nearest", coordinates="asymmetric", nearest_mode="floor")
    factors = arguments[-1] or [None] * len(sizes)
    for axis, ((size, target), factor) in enumerate(zip(sizes, factors, strict=True), start=2):
        if size != target:
            line, upsample = torch.arange(size, dtype=torch.float32)[None, None], _LINES[exact]
            nearest = upsample(line, [target] if factor is None else None, None if factor is None else [factor])
            source = builder.node("Gather", source, integers(builder, nearest[0, 0].long().numpy()), axis=axis)
    return source


def resize(builder: GraphBuilder, name: str, node: fx.Node, *, mode: str, coordinates: str, **attributes: Any) -> str:
    """A `Resize` of the axes of maps to the size of the node's output."""
    factors = builder.constant([1.0, 1.0, *scales_of(node)], "float32")
    return builder.node(
        "Resize", name, "", factors, mode=mode, coordinate_transformation_mode=coordinates, **attributes
    )


def _filling(builder: GraphBuilder, source: Value, node: fx.Node, value: float) -> str:
    """A constant of one value: its code, or the number itself."""
    if isinstance(source, UInt8Codes):
        return builder.constant(padding_code(source.quantizer, value), "uint8")
    dtype = str(result_type(node)).removeprefix("torch.")
    return builder.constant(value, dtype)


def pad(builder: GraphBuilder, source: Value, node: fx.Node, arguments: Sequence[Any]) -> str:
    """Values with a rim, as a padding node asks for it.

    Raises:
        NetworkError: torch has a mode that is not known here.
    """
    padding = padding_of(node, arguments)
    rank = len(static_shape(node))
    if padding.mode == "circular":
        return _circular(builder, source.name, padding.widths, rank)
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    if padding.mode not in modes:
        raise NetworkError(f"{node.name} pads in a mode {padding.mode!r} that is not known here")
    kept = [0] * (rank - len(padding.widths) // 2)
    # torch names the last axis first, each with its two sides together; ONNX all beginnings, then all endings.
    before, after = padding.widths[0::2][::-1], padding.widths[1::2][::-1]
    inputs = [builder.constant([*kept, *before, *kept, *after], "int64")]
    if padding.mode == "constant":
        inputs.append(_filling(builder, source, node, padding.filling))
    return builder.node("Pad", source.name, *inputs, mode=modes[padding.mode])


def _circular(builder: GraphBuilder, source: str, widths: Sequence[int], rank: int) -> str:
    """Each axis with its own end before it and its own beginning behind it."""
    for place in range(len(widths) // 2):
        axis, (before, after) = rank - 1 - place, widths[2 * place : 2 * place + 2]
        parts = [sliced(builder, source, axis, start=-before, end=2**31 - 1)] if before > 0 else []
        parts.append(source)
        parts += [sliced(builder, source, axis, start=0, end=after)] if after > 0 else []
        source = builder.node("Concat", *parts, axis=axis) if len(parts) > 1 else source
    return source


def _triangle(function: Callable[..., torch.Tensor]) -> FilledOperation:
    """Zeros on one side of a diagonal."""

    def translate(builder: GraphBuilder, source: Value, node: fx.Node, arguments: Sequence[Any]) -> str:
        kept = function(torch.ones(static_shape(node)[-2:], dtype=torch.bool), int(arguments[1]))
        mask = builder.constant(kept.numpy(), "bool")
        return builder.node("Where", mask, source.name, _filling(builder, source, node, 0.0))

    return translate


def _columns(builder: GraphBuilder, source: Value, node: fx.Node, arguments: Sequence[Any]) -> str:
    """The windows of maps, each a column."""
    kernel, dilation, padding, stride = arguments[1:5]
    shape = window(node, kernel, stride, padding, dilation)
    name = source.name
    if any(shape.padding):
        widths = integers(builder, [0, 0, *shape.padding, 0, 0, *shape.padding])
        name = builder.node("Pad", name, widths, _filling(builder, source, node, 0.0), mode="constant")
    before = static_shape(source_of(node))[2:]
    for place, axis in enumerate((2, 4)):
        reach = before[place] + 2 * shape.padding[place] - shape.dilation[place] * (shape.kernel[place] - 1) - 1
        starts = np.arange(reach // shape.stride[place] + 1) * shape.stride[place]
        windows = np.arange(shape.kernel[place])[:, None] * shape.dilation[place] + starts
        name = builder.node("Gather", name, integers(builder, windows), axis=axis)
    return reshaped(builder, builder.node("Transpose", name, perm=[0, 1, 2, 4, 3, 5]), node.meta["val"].shape)


FILLED_TABLE: Mapping[Any, FilledOperation] = {
    ATEN.pad.default: pad,
    ATEN.constant_pad_nd.default: pad,
    ATEN.triu.default: _triangle(torch.triu),
    ATEN.tril.default: _triangle(torch.tril),
    ATEN.im2col.default: _columns,
}
LAYOUT_TABLE: Mapping[Any, LayoutOperation] = {
    **dict.fromkeys(RESHAPES, _reshape),
    **dict.fromkeys(IDENTITIES, _identity),
    **PARTS,
    ATEN.max_pool2d.default: _max_pool,
    ATEN.max_pool1d.default: _max_pool,
    ATEN.max_pool3d.default: _max_pool,
    ATEN.adaptive_max_pool2d.default: _adaptive_max_pool,
    ATEN.adaptive_max_pool1d.default: _adaptive_max_pool,
    ATEN.amax.default: _extreme("ReduceMax"),
    ATEN.amin.default: _extreme("ReduceMin"),
    ATEN.max.default: _extreme("ReduceMax"),
    ATEN.min.default: _extreme("ReduceMin"),
    ATEN.max.dim: _extreme("ReduceMax", "ArgMax"),
    ATEN.min.dim: _extreme("ReduceMin", "ArgMin"),
    ATEN.upsample_nearest2d.vec: _nearest,
    ATEN.upsample_nearest1d.vec: _nearest,
    ATEN.upsample_nearest3d.vec: _nearest,
    ATEN._upsample_nearest_exact2d.vec: _nearest,
    ATEN._upsample_nearest_exact1d.vec: _nearest,
}
