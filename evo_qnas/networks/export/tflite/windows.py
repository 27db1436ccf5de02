"""Windows over maps: pooling of one and two axes, adaptive pooling, and rims around maps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.common.arguments import pair
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import (
    concatenated,
    emit,
    in_order,
    reshaped,
    sliced,
    widened,
)
from evo_qnas.networks.export.tflite.numbers import constant, mul, reduced
from evo_qnas.networks.export.tflite.resizing import along_axes
from evo_qnas.networks.export.tflite.values import Tensor, channels_last, shape_of

Function = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Any]


_LEAST = -128


_MAPS = channels_last(4)


def mode_of(
    source: Sequence[int], result: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> str | None:
    """TFLite's name for a padding, None where it has none and an operator has to pad before.

    Args:
        source: size of maps.
        result: size of maps behind it.
        kernel: size of a window, its gaps included.
        strides: of windows.
        pads: all beginnings, then all endings.

    Example:
        >>> mode_of((8, 8), (8, 8), (3, 3), (1, 1), (1, 1, 1, 1)), mode_of((8, 8), (6, 6), (3, 3), (1, 1), (0, 0, 0, 0))
        ('SAME', 'VALID')
        >>> mode_of((8, 8), (4, 4), (3, 3), (2, 2), (1, 1, 1, 1)) is None
        True
    """
    if not any(pads):
        return "VALID"
    for axis in (0, 1):
        total = max(0, (result[axis] - 1) * strides[axis] + kernel[axis] - source[axis])
        if result[axis] != -(-source[axis] // strides[axis]) or pads[axis] != total // 2:
            return None
        # What the last kernel does not reach is no padding.
        if pads[axis + 2] < total - total // 2:
            return None
    return "SAME"


def padded(builder: TfliteBuilder, source: Tensor, before: Sequence[int], after: Sequence[int], code: float) -> Tensor:
    """Maps with a rim of a number: for codes, one of them."""
    widths = [(0, 0), (0, 0), *zip(before, after, strict=True)]
    if code == source.zero:
        return widened(builder, source, widths, None)
    if source.quantizer is None:
        return widened(builder, source, widths, builder.array(np.float32(code)))
    return widened(builder, source, widths, builder.codes(int(code), float(source.step or 0.0), source.zero))


def pooled(builder: TfliteBuilder, source: Tensor, shape: Sequence[int], window: Sequence[Any], code: str) -> Tensor:
    """The largest or mean number of each window (kernel, stride, padding) of maps."""
    source = in_order(builder, source, _MAPS)
    kernel, strides = pair(window[0]), pair(window[1] or window[0])
    before = pair(window[2])
    reach = [(shape[2 + axis] - 1) * strides[axis] + kernel[axis] - source.shape[2 + axis] for axis in (0, 1)]
    after = [max(0, reach[axis] - before[axis]) for axis in (0, 1)]
    mode = mode_of(source.shape[2:], shape[2:], kernel, strides, [*before, *after])
    if mode is None:
        least = _LEAST if source.quantizer is not None else float(np.finfo(np.float32).min)
        source = padded(builder, source, before, after, float(least if code == "MAX_POOL_2D" else source.zero))
    options = builder.schema.Pool2DOptionsT(
        padding=builder.schema.Padding.SAME if mode == "SAME" else builder.schema.Padding.VALID,
        strideH=strides[0],
        strideW=strides[1],
        filterHeight=kernel[0],
        filterWidth=kernel[1],
    )
    return emit(builder, code, source, (source.tensor,), shape=tuple(shape), order=_MAPS, options=options)


def _flat_last(builder: TfliteBuilder, source: Tensor) -> Tensor:
    """Maps of one axis as maps of two, the first of one value."""
    return reshaped(builder, source, (*source.shape[:2], 1, source.shape[2]))


def _line(value: Any, first: int) -> list[int] | None:
    """An argument of one axis for two."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return [first, int(values[0])] if values and values[0] is not None else None


def max_pool(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """The largest number of windows; windows with gaps are slices of the maps."""
    _, kernel, stride, padding, dilation, _ceil = [*arguments, None, 0, 1, False][:6]
    shape = shape_of(node) if isinstance(node.meta["val"], torch.Tensor) else shape_of(node, 0)
    if len(source.shape) == 3:
        made = _flat_last(builder, source)
        window = (_line(kernel, 1), _line(stride, 1), _line(padding, 0))
        if _line(dilation, 1) != [1, 1]:
            raise NetworkError(f"{node.name} has dilation {dilation}, which TFLite's maximum does not know: use 1")
        return reshaped(builder, pooled(builder, made, (*shape[:2], 1, shape[2]), window, "MAX_POOL_2D"), shape)
    if pair(dilation) != [1, 1]:
        raise NetworkError(f"{node.name} has dilation {dilation}, which TFLite's maximum does not know: use 1")
    return pooled(builder, source, shape, (kernel, stride, padding), "MAX_POOL_2D")


def max_pool_alone(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> list[Any]:
    """The largest numbers, and None for where they are."""
    return [max_pool(builder, source, node, arguments), None]


def window_counts(
    size: int, result: int, kernel: int, stride: int, padding: int, *, counted: bool
) -> Float[np.ndarray, " result"]:
    """How many values torch divides the sum of each window along one axis by.

    Args:
        size: of the axis.
        result: number of windows.
        kernel: size of a window.
        stride: of windows.
        padding: on either side.
        counted: positions of the padding count.

    Example:
        >>> window_counts(4, 2, 3, 2, 0, counted=True)
        array([3., 2.])
    """
    starts = np.arange(result) * stride - padding
    ends = np.minimum(starts + kernel, size + padding)
    inside = ends - starts if counted else np.minimum(ends, size) - np.maximum(starts, 0)
    return inside.astype(np.float64)


def _avg_pool(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """A mean over windows that torch divides by other numbers than the kernel does: a factor for each position."""
    source, kernel, stride, padding, _ceil, counted, divisor = [*arguments, None, 0, False, True, None][:7]
    shape = shape_of(node)
    if len(shape) == 3:
        window = [_line(value, first) for value, first in ((kernel, 1), (stride, 1), (padding, 0))]
        line = (*shape[:2], 1, shape[2])
        made = _means(builder, _flat_last(builder, source), line, window, counted=bool(counted), divisor=None)
        return reshaped(builder, made, shape)
    return _means(builder, source, shape, (kernel, stride, padding), counted=bool(counted), divisor=divisor)


def _means(
    builder: TfliteBuilder,
    source: Tensor,
    shape: Sequence[int],
    window: Sequence[Any],
    *,
    counted: bool,
    divisor: int | None,
) -> Tensor:
    kernel, strides, pads = pair(window[0]), pair(window[1] or window[0]), pair(window[2])
    rows, columns = (
        window_counts(source.shape[2 + a], shape[2 + a], kernel[a], strides[a], pads[a], counted=counted)
        for a in (0, 1)
    )
    counts = np.outer(rows, columns) if divisor is None else np.full((len(rows), len(columns)), float(divisor))
    reach = [(shape[2 + a] - 1) * strides[a] + kernel[a] - source.shape[2 + a] for a in (0, 1)]
    source = in_order(builder, source, _MAPS)
    # The kernel counts no position of a padding of its own: pad before it.
    source = padded(builder, source, pads, [max(0, reach[a] - pads[a]) for a in (0, 1)], 0.0)
    made = pooled(builder, source, shape, (kernel, strides, 0), "AVERAGE_POOL_2D")
    factors = kernel[0] * kernel[1] / counts
    return made if np.all(factors == 1) else mul(builder, made, constant(factors[None, None]))


def parts_of(size: int, result: int) -> list[tuple[int, int]]:
    """The part of an axis that each position of an adaptive pooling takes.

    Example:
        >>> parts_of(7, 3)
        [(0, 3), (2, 5), (4, 7)]
    """
    return [(index * size // result, -(-(index + 1) * size // result)) for index in range(result)]


def _means_along(size: int, result: int) -> Float[np.ndarray, "result size"]:
    matrix = np.zeros((result, size))
    for index, (start, end) in enumerate(parts_of(size, result)):
        matrix[index, start:end] = 1.0 / (end - start)
    return matrix


def _adaptive_avg(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Means over parts of each axis: matrices from either side."""
    source, shape = arguments[0], shape_of(node)
    if all(size == 1 for size in shape[2:]):
        return reduced(builder, "MEAN", source, range(2, len(shape)), keep=True)
    return along_axes(
        builder, source, {axis: _means_along(source.shape[axis], shape[axis]) for axis in range(2, len(shape))}
    )


def adaptive_max(builder: TfliteBuilder, source: Tensor, node: fx.Node, _arguments: Sequence[Any]) -> list[Any]:
    """The largest number of parts of each axis, and None for where they are."""
    shape = shape_of(node, 0)
    for axis in range(2, len(shape)):
        parts = [
            reduced(builder, "REDUCE_MAX", sliced(builder, source, axis, start, end), [axis], keep=True)
            for start, end in parts_of(source.shape[axis], shape[axis])
        ]
        source = concatenated(builder, parts, axis)
    return [source, None]


POOLING_TABLE: Mapping[Any, Function] = {
    ATEN.avg_pool2d.default: _avg_pool,
    ATEN.avg_pool1d.default: _avg_pool,
    ATEN.adaptive_avg_pool2d.default: _adaptive_avg,
    ATEN._adaptive_avg_pool2d.default: _adaptive_avg,
    ATEN.adaptive_avg_pool1d.default: _adaptive_avg,
}
