"""Layout operations in TFLite: they only move codes, or choose among them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.export.common.arguments import pair
from evo_qnas.networks.export.common.codes import padding_code, padding_of
from evo_qnas.networks.export.common.layout import IDENTITIES, PADS, RESHAPES
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.layers import mode_of, padded
from evo_qnas.networks.export.tflite.values import Int8Codes, Shape, shape_of, stored_axis, stored_shape

LayoutOperation = Callable[[TfliteBuilder, Int8Codes, fx.Node, Sequence[Any]], Int8Codes]
_LEAST = -128


def _identity(_builder: TfliteBuilder, source: Int8Codes, _node: fx.Node, _arguments: Sequence[Any]) -> Int8Codes:
    return source


def relaid(
    builder: TfliteBuilder, source: Int8Codes, shape: Shape, code: str, *, inputs: Sequence[int] = (), options: Any
) -> Int8Codes:
    """The same codes in another shape (as torch has it)."""
    output = builder.tensor(code.lower(), stored_shape(shape), "INT8", step=source.step, zero=source.zero)
    builder.operator(code, (source.tensor, *inputs), output, options)
    return replace(source, tensor=output, shape=shape)


def _transposed(builder: TfliteBuilder, source: Int8Codes, order: Sequence[int]) -> Int8Codes:
    """Axes of the tensor in the file in another order."""
    shape = [int(builder.tensors[source.tensor].shape[axis]) for axis in order]
    output = builder.tensor("transpose", shape, "INT8", step=source.step, zero=source.zero)
    inputs = (source.tensor, builder.numbers(order))
    builder.operator("TRANSPOSE", inputs, output, builder.schema.TransposeOptionsT())
    return replace(source, tensor=output)


def _keeps_order(shape: Shape) -> bool:
    """True where numbers have the same order with channels last."""
    return len(shape) != 4 or shape[1] == 1 or prod(shape[2:]) == 1


def _reshape(builder: TfliteBuilder, source: Int8Codes, node: fx.Node, _arguments: Sequence[Any]) -> Int8Codes:
    shape = shape_of(node)
    if not _keeps_order(source.shape):
        source = _transposed(builder, source, (0, 3, 1, 2))
    first = stored_shape(shape) if _keeps_order(shape) else shape
    output = builder.tensor("reshape", first, "INT8", step=source.step, zero=source.zero)
    # -1 lets a reader run several images at once.
    target = builder.numbers([-1, *first[1:]])
    options = builder.schema.ReshapeOptionsT(newShape=[-1, *first[1:]])
    builder.operator("RESHAPE", (source.tensor, target), output, options)
    made = replace(source, tensor=output, shape=shape)
    return made if _keeps_order(shape) else _transposed(builder, made, (0, 2, 3, 1))


def _slice(builder: TfliteBuilder, source: Int8Codes, node: fx.Node, arguments: Sequence[Any]) -> Int8Codes:
    axis, start, _end, step = arguments[1:5]
    rank, shape = len(source.shape), shape_of(node)
    stored = stored_axis(int(axis), rank)
    if source_of(node).meta["val"].shape == node.meta["val"].shape:
        return source
    if stored == 0:
        raise NetworkError(f"{node.name} takes a part of the images: only parts of one image can be exported")
    size = source.shape[int(axis) % rank]
    first = max(0, int(start or 0) + (size if int(start or 0) < 0 else 0))
    begin, end, steps = [0] * rank, [int(s) for s in stored_shape(source.shape)], [1] * rank
    begin[stored], steps[stored] = first, int(step)
    end[stored] = min(size, first + shape[int(axis) % rank] * int(step))
    inputs = [builder.numbers(values) for values in (begin, end, steps)]
    # All images, however many there are.
    options = builder.schema.StridedSliceOptionsT(beginMask=1, endMask=1)
    return relaid(builder, source, shape, "STRIDED_SLICE", inputs=inputs, options=options)


def _max_pool(builder: TfliteBuilder, source: Int8Codes, node: fx.Node, arguments: Sequence[Any]) -> Int8Codes:
    _, kernel, stride, padding, dilation, _ceil = arguments
    if pair(dilation) != [1, 1]:
        raise NetworkError(f"{node.name} has dilation {dilation}, which TFLite's maximum does not know: use 1")
    return pooled(builder, source, node, (kernel, stride, padding), "MAX_POOL_2D")


def pooled(builder: TfliteBuilder, source: Int8Codes, node: fx.Node, window: Sequence[Any], code: str) -> Int8Codes:
    """The largest or mean code of each window (kernel, stride, padding)."""
    kernel, strides = pair(window[0]), pair(window[1] or window[0])
    before, shape = pair(window[2]), shape_of(node)
    reach = [(shape[2 + axis] - 1) * strides[axis] + kernel[axis] - source.shape[2 + axis] for axis in (0, 1)]
    after = [max(0, reach[axis] - before[axis]) for axis in (0, 1)]
    mode = mode_of(source.shape[2:], shape[2:], kernel, strides, [*before, *after])
    if mode is None:
        source = padded(builder, source, before, after, _LEAST)
    options = builder.schema.Pool2DOptionsT(
        padding=builder.schema.Padding.SAME if mode == "SAME" else builder.schema.Padding.VALID,
        strideH=strides[0],
        strideW=strides[1],
        filterHeight=kernel[0],
        filterWidth=kernel[1],
    )
    return relaid(builder, source, shape, code, options=options)


def _pad(builder: TfliteBuilder, source: Int8Codes, node: fx.Node, arguments: Sequence[Any]) -> Int8Codes:
    padding = padding_of(node, arguments)
    if padding.mode != "constant":
        raise NetworkError(f"padding mode {padding.mode!r} of {node.name} has no translation to TFLite: use constant")
    if len(source.shape) != 4 or len(padding.widths) > 4 or min(padding.widths) < 0:
        raise NetworkError(f"{node.name} pads other axes than those of maps, or cuts them: TFLite cannot")
    code = padding_code(source.quantizer, padding.filling) + source.offset
    left, right, top, bottom = [*padding.widths, 0, 0][:4]
    return padded(builder, source, (top, left), (bottom, right), code)


def _nearest(builder: TfliteBuilder, source: Int8Codes, node: fx.Node, _arguments: Sequence[Any]) -> Int8Codes:
    shape = shape_of(node)
    options = builder.schema.ResizeNearestNeighborOptionsT()
    return relaid(
        builder, source, shape, "RESIZE_NEAREST_NEIGHBOR", inputs=(builder.numbers(shape[2:]),), options=options
    )


def _expand(builder: TfliteBuilder, source: Int8Codes, node: fx.Node, arguments: Sequence[Any]) -> Int8Codes:
    """A pooled map copied to every position, which is up-sampling of one position."""
    shape = shape_of(node)
    if source.shape == shape:
        return source
    if len(shape) != 4 or source.shape[:2] != shape[:2] or source.shape[2:] != (1, 1):
        raise NetworkError(f"{node.name} copies {source.shape} to {shape}: only pooled maps can be exported to TFLite")
    return _nearest(builder, source, node, arguments)


LAYOUT_TABLE: Mapping[Any, LayoutOperation] = {
    **dict.fromkeys(RESHAPES, _reshape),
    **dict.fromkeys(IDENTITIES, _identity),
    **dict.fromkeys(PADS, _pad),
    ATEN.slice.Tensor: _slice,
    ATEN.max_pool2d.default: _max_pool,
    ATEN.upsample_nearest2d.vec: _nearest,
    ATEN.expand.default: _expand,
}
