"""Rims around axes: of a number, mirrored, of the last number again, or from the other end."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import fx

from evo_qnas.networks.export.common.codes import padding_code, padding_of
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import (
    concatenated,
    sliced,
    widened,
)
from evo_qnas.networks.export.tflite.values import Tensor

Layout = Callable[[TfliteBuilder, Tensor, fx.Node, Sequence[Any]], Any]


def pad_axes(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """A rim around axes, or less of them."""
    padding = padding_of(node, arguments)
    rank, given = len(source.shape), list(padding.widths)
    widths = [(0, 0)] * rank
    for index in range(len(given) // 2):
        widths[rank - 1 - index] = (given[2 * index], given[2 * index + 1])
    if padding.mode != "constant":
        return _continued(builder, source, widths, padding.mode)
    for axis, (before, after) in enumerate(widths):
        source = sliced(builder, source, axis, max(0, -before), source.shape[axis] - max(0, -after))
    widths = [(max(0, before), max(0, after)) for before, after in widths]
    filling: int | None = None
    if source.quantizer is not None:
        code = padding_code(source.quantizer, padding.filling) + source.offset
        filling = None if code == source.zero else builder.codes(code, float(source.step or 0.0), source.zero)
    elif padding.filling:
        filling = builder.array(np.array(padding.filling, np.float32 if source.kind == "FLOAT32" else np.int32))
    return widened(builder, source, widths, filling)


def _continued(builder: TfliteBuilder, source: Tensor, widths: Sequence[tuple[int, int]], mode: str) -> Tensor:
    """A rim that goes on with the numbers themselves: mirrored, the last one again, or from the other end."""
    if mode == "reflect":
        return widened(builder, source, widths, None, mirrored=True)
    for axis, (before, after) in enumerate(widths):
        size = source.shape[axis]
        if mode == "replicate":
            ends = [[(0, 1)] * before, [(size - 1, size)] * after]
        else:
            ends = [[(size - before, size)] * (before > 0), [(0, after)] * (after > 0)]
        parts = [[sliced(builder, source, axis, *part) for part in end] for end in ends]
        if before or after:
            source = concatenated(builder, [*parts[0], source, *parts[1]], axis)
    return source


def fixed_pad(mode: str, axes: int) -> Layout:
    """An operation for one mode of padding."""

    def translate(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
        given = [int(width) for width in arguments[1]]
        widths = [(0, 0)] * (len(source.shape) - axes)
        widths += [(given[2 * index], given[2 * index + 1]) for index in reversed(range(axes))]
        return _continued(builder, source, widths, mode)

    return translate
