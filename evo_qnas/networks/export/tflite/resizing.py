"""Maps at another size: copies of numbers, and numbers between them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import (
    emit,
    gathered,
    in_order,
    permuted,
)
from evo_qnas.networks.export.tflite.numbers import constant, matmul
from evo_qnas.networks.export.tflite.values import Tensor, channels_last, shape_of

Function = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Any]


_MAPS = channels_last(4)


def along_axes(builder: TfliteBuilder, source: Tensor, matrices: Mapping[int, np.ndarray]) -> Tensor:
    """A linear map along each of some axes."""
    for axis, matrix in matrices.items():
        if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
            continue
        rank = len(source.shape)
        order = [other for other in range(rank) if other != axis] + [axis]
        made = matmul(builder, permuted(source, order), constant(np.ascontiguousarray(matrix.T)))
        source = permuted(made, [order.index(other) for other in range(rank)])
    return source


def nearest(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Copies of the nearest number; by positions where the scale is no quotient of sizes, or there is one axis."""
    shape = shape_of(node)
    scales = next(
        (argument for argument in reversed(arguments[1:]) if isinstance(argument, (list, tuple, float))), None
    )
    scales = [scales] * (len(shape) - 2) if isinstance(scales, float) else scales
    given = isinstance(scales, (list, tuple)) and all(isinstance(scale, float) for scale in scales)
    odd = given and any(s * n != m for s, n, m in zip(scales or [], source.shape[2:], shape[2:], strict=True))
    exact = "exact" in str(node.target)
    if len(shape) != 4 or odd or exact:
        for axis in range(2, len(shape)):
            scale = (scales or [])[axis - 2] if odd else shape[axis] / source.shape[axis]
            starts = np.arange(shape[axis], dtype=np.float32) + np.float32(0.5 if exact else 0.0)
            places = np.floor(starts * np.float32(1.0 / scale)).astype(int)
            source = gathered(builder, source, axis, np.minimum(places, source.shape[axis] - 1).tolist())
        return source
    source = in_order(builder, source, _MAPS)
    options = builder.schema.ResizeNearestNeighborOptionsT()
    inputs = (source.tensor, builder.numbers(shape[2:]))
    return emit(builder, "RESIZE_NEAREST_NEIGHBOR", source, inputs, shape=shape, order=_MAPS, options=options)


def bilinear(builder: TfliteBuilder, source: Tensor, shape: Sequence[int], *, corners: bool) -> Tensor:
    """Maps between which is interpolated; of codes, the runtime rounds to codes."""
    source = in_order(builder, source, _MAPS)
    options = builder.schema.ResizeBilinearOptionsT(alignCorners=corners, halfPixelCenters=not corners)
    inputs = (source.tensor, builder.numbers(shape[2:]))
    return emit(builder, "RESIZE_BILINEAR", source, inputs, shape=tuple(shape), order=_MAPS, options=options)


def _interpolated(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Any linear interpolation, by the matrices that torch's own operation has along each axis."""
    source, shape = arguments[0], shape_of(node)
    matrices = {}
    for axis in range(2, len(shape)):
        size = source.shape[axis]
        # One line along the axis for each of its positions, alone with a 1; the other axes keep one value.
        lines = torch.eye(size).reshape(1, size, *(size if other == axis else 1 for other in range(2, len(shape))))
        target = [shape[axis] if other == axis else 1 for other in range(2, len(shape))]
        rest: list[Any] = [*arguments[2:]]
        if rest and isinstance(rest[-1], (list, tuple)):
            rest[-1] = [scale if other == axis else 1.0 for other, scale in enumerate(rest[-1], 2)]
        operation: Any = node.target
        sizes = None if rest and isinstance(rest[-1], (list, tuple)) else target
        made = operation(lines, sizes, *rest)
        matrices[axis] = made.reshape(size, shape[axis]).T.numpy().astype(np.float64)
    return along_axes(builder, source, matrices)


def _bilinear(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source, _size, corners, scales = arguments[:4]
    shape = shape_of(node)
    if scales and any(scale * n != m for scale, n, m in zip(scales, source.shape[2:], shape[2:], strict=True)):
        return _interpolated(builder, node, arguments)
    return bilinear(builder, source, shape, corners=bool(corners))


RESIZING_TABLE: Mapping[Any, Function] = {
    ATEN.upsample_bilinear2d.vec: _bilinear,
    ATEN.upsample_bicubic2d.vec: _interpolated,
    ATEN.upsample_linear1d.vec: _interpolated,
    ATEN._upsample_bilinear2d_aa.vec: _interpolated,
    ATEN._upsample_bicubic2d_aa.vec: _interpolated,
}
