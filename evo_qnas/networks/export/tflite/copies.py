"""Values several times, or in other positions."""

from collections.abc import Sequence
from math import prod
from typing import Any

from torch import fx

from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import (
    concatenated,
    copied,
    permuted,
    reshaped,
    reversed_along,
    sliced,
    tiled,
)
from evo_qnas.networks.export.tflite.resizing import nearest
from evo_qnas.networks.export.tflite.values import Tensor, shape_of


def roll(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Values moved along axes, around their ends."""
    shifts, axes = ([int(v) for v in (part if isinstance(part, (list, tuple)) else [part])] for part in arguments[1:3])
    for shift, axis in zip(shifts, axes, strict=True):
        size = source.shape[axis]
        cut = -shift % size
        if cut:
            parts = [sliced(builder, source, axis, cut, size), sliced(builder, source, axis, 0, cut)]
            source = concatenated(builder, parts, axis)
    return source


def flip(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Axes from their last value to the first."""
    for axis in arguments[1]:
        source = reversed_along(builder, source, int(axis))
    return source


def expand(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Copies along axes of one value; a pooled map copied to every position is up-sampling of one position."""
    shape = shape_of(node)
    pooled = len(shape) == 4 == len(source.shape) and source.shape[2:] == (1, 1) and source.shape[:2] == shape[:2]
    if source.shape == shape:
        return source
    return nearest(builder, source, node, arguments) if pooled else copied(builder, source, shape)


def repeat_axes(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """The whole tensor several times along axes."""
    return tiled(builder, source, [int(count) for count in arguments[1]])


def repeat_interleave(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Each value several times."""
    times, axis = int(arguments[1]), arguments[2]
    if axis is None:
        source, axis = reshaped(builder, source, (prod(source.shape),)), 0
    axis %= len(source.shape)
    before, after = source.shape[: axis + 1], source.shape[axis + 1 :]
    wide = copied(builder, reshaped(builder, source, (*before, 1, *after)), (*before, times, *after))
    return reshaped(builder, wide, (*before[:-1], before[-1] * times, *after))


def pixel_shuffle(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Channels become positions."""
    n, channels, height, width = source.shape
    step = int(arguments[1])
    split = reshaped(builder, source, (n, channels // step**2, step, step, height, width))
    return reshaped(builder, permuted(split, (0, 1, 4, 2, 5, 3)), shape_of(node))


def pixel_unshuffle(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Positions become channels."""
    n, channels, height, width = source.shape
    step = int(arguments[1])
    split = reshaped(builder, source, (n, channels, height // step, step, width // step, step))
    return reshaped(builder, permuted(split, (0, 1, 3, 5, 2, 4)), shape_of(node))


def channel_shuffle(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Channels of groups taken by turns."""
    groups, rank = int(arguments[1]), len(source.shape)
    split = reshaped(builder, source, (source.shape[0], groups, source.shape[1] // groups, *source.shape[2:]))
    return reshaped(builder, permuted(split, (0, 2, 1, *range(3, rank + 1))), source.shape)
