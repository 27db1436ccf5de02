"""Layout operations in TFLite: they only move numbers of any kind, codes among them, or choose among them."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.export.common.codes import padding_code, padding_of
from evo_qnas.networks.export.common.layout import IDENTITIES, PADS, RESHAPES
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import (
    concatenated,
    copied,
    gathered,
    is_in_sequence,
    permuted,
    placed,
    reshaped,
    reversed_along,
    selected,
    sliced,
    tiled,
    widened,
)
from evo_qnas.networks.export.tflite.numbers import as_floats, binary, cast, constant, reduced
from evo_qnas.networks.export.tflite.reductions import extreme_along
from evo_qnas.networks.export.tflite.values import IMAGES, Constant, Tensor, kind_of, shape_of
from evo_qnas.networks.export.tflite.windows import adaptive_max, max_pool, max_pool_alone, nearest

Layout = Callable[[TfliteBuilder, Tensor, fx.Node, Sequence[Any]], Any]


def _identity(_builder: TfliteBuilder, source: Tensor, _node: fx.Node, _arguments: Sequence[Any]) -> Tensor:
    return source


def _reshape(builder: TfliteBuilder, source: Tensor, node: fx.Node, _arguments: Sequence[Any]) -> Tensor:
    return reshaped(builder, source, shape_of(node))


def _whole_axis(node: fx.Node, axis: int) -> bool:
    """True for an axis whose size depends on how many images there are."""
    value = source_of(node).meta.get(IMAGES) if isinstance(source_of(node), fx.Node) else None
    return isinstance(value, torch.Tensor) and not isinstance(value.shape[axis], int)


def _slice(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    axis, start, end, step = [*arguments[1:], 0, None, None, 1][:4] if len(arguments) < 5 else arguments[1:5]
    axis = int(axis) % len(source.shape)
    first, last, stride = slice(start, end, int(step)).indices(source.shape[axis])
    if _whole_axis(node, axis) and shape_of(source_of(node)) != shape_of(node):
        raise NetworkError(f"{node.name} takes a part of the images: only parts of one image can be exported")
    count = max(0, -(-(last - first) // stride))
    last = min(source.shape[axis], first + count * stride)
    if count == source.shape[axis]:
        return source
    return sliced(builder, source, axis, first, last, step=stride)


def _select(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    axis = int(arguments[1]) % len(source.shape)
    if _whole_axis(node, axis):
        raise NetworkError(f"{node.name} takes one of the images: only parts of one image can be exported")
    return selected(builder, source, axis, int(arguments[2]))


def _narrow(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    start = int(arguments[2])
    return _slice(builder, source, node, [source, arguments[1], start, start + int(arguments[3]), 1])


def _extreme(code: str) -> Layout:
    """The largest or least number over axes; codes are in the order of their numbers."""

    def translate(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
        axes, keep = [*arguments[1:], None, False][:2]
        named = [int(axis) for axis in axes] if isinstance(axes, (list, tuple)) else axes
        return reduced(builder, code, source, [named] if isinstance(named, int) else named or None, keep=bool(keep))

    return translate


def _to(builder: TfliteBuilder, source: Tensor, node: fx.Node, _arguments: Sequence[Any]) -> Any:
    """Another type of numbers; codes stay codes in any type of floats."""
    kind = kind_of(node.meta["val"].dtype)
    if source.quantizer is not None and kind == "FLOAT32":
        return source
    return cast(builder, as_floats(builder, source), kind)


def _permute(_builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    return permuted(source, [int(axis) for axis in arguments[1]])


def _transpose(_builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    axes = list(range(len(source.shape)))
    one, other = int(arguments[1]), int(arguments[2])
    axes[one], axes[other] = axes[other], axes[one]
    return permuted(source, axes)


def _turned(_builder: TfliteBuilder, source: Tensor, _node: fx.Node, _arguments: Sequence[Any]) -> Tensor:
    """The last two axes exchanged: `t`, `mT`."""
    rank = len(source.shape)
    return permuted(source, [*range(rank - 2), rank - 1, rank - 2] if rank > 1 else [0])


def _movedim(_builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    rank = len(source.shape)
    starts, ends = (
        [int(a) % rank for a in (axes if isinstance(axes, (list, tuple)) else [axes])] for axes in arguments[1:3]
    )
    rest = iter([axis for axis in range(rank) if axis not in starts])
    order = [starts[ends.index(place)] if place in ends else next(rest) for place in range(rank)]
    return permuted(source, order)


def _sizes_along(node: fx.Node, axis: int) -> list[int]:
    return [shape_of(node, index)[axis] for index in range(len(node.meta["val"]))]


def _split(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> list[Tensor]:
    """Parts along an axis; sizes are those of the outputs."""
    axis = int([*arguments, 0][2]) % len(source.shape)
    parts, start = [], 0
    for size in _sizes_along(node, axis):
        parts.append(sliced(builder, source, axis, start, start + size))
        start += size
    return parts


def _unbind(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> list[Tensor]:
    axis = int([*arguments, 0][1]) % len(source.shape)
    return [selected(builder, source, axis, index) for index in range(source.shape[axis])]


def _roll(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    shifts, axes = ([int(v) for v in (part if isinstance(part, (list, tuple)) else [part])] for part in arguments[1:3])
    for shift, axis in zip(shifts, axes, strict=True):
        size = source.shape[axis]
        cut = -shift % size
        if cut:
            parts = [sliced(builder, source, axis, cut, size), sliced(builder, source, axis, 0, cut)]
            source = concatenated(builder, parts, axis)
    return source


def _flip(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    for axis in arguments[1]:
        source = reversed_along(builder, source, int(axis))
    return source


def _expand(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Copies along axes of one value; a pooled map copied to every position is up-sampling of one position."""
    shape = shape_of(node)
    pooled = len(shape) == 4 == len(source.shape) and source.shape[2:] == (1, 1) and source.shape[:2] == shape[:2]
    if source.shape == shape:
        return source
    return nearest(builder, source, node, arguments) if pooled else copied(builder, source, shape)


def _repeat(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    return tiled(builder, source, [int(count) for count in arguments[1]])


def _repeat_interleave(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    times, axis = int(arguments[1]), arguments[2]
    if axis is None:
        source, axis = reshaped(builder, source, (prod(source.shape),)), 0
    axis %= len(source.shape)
    before, after = source.shape[: axis + 1], source.shape[axis + 1 :]
    wide = copied(builder, reshaped(builder, source, (*before, 1, *after)), (*before, times, *after))
    return reshaped(builder, wide, (*before[:-1], before[-1] * times, *after))


def _pixel_shuffle(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Channels become positions."""
    n, channels, height, width = source.shape
    step = int(arguments[1])
    split = reshaped(builder, source, (n, channels // step**2, step, step, height, width))
    return reshaped(builder, permuted(split, (0, 1, 4, 2, 5, 3)), shape_of(node))


def _pixel_unshuffle(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Positions become channels."""
    n, channels, height, width = source.shape
    step = int(arguments[1])
    split = reshaped(builder, source, (n, channels, height // step, step, width // step, step))
    return reshaped(builder, permuted(split, (0, 1, 3, 5, 2, 4)), shape_of(node))


def _channel_shuffle(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    groups, rank = int(arguments[1]), len(source.shape)
    split = reshaped(builder, source, (source.shape[0], groups, source.shape[1] // groups, *source.shape[2:]))
    return reshaped(builder, permuted(split, (0, 2, 1, *range(3, rank + 1))), source.shape)


def _index_select(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    return gathered(builder, source, int(arguments[1]), arguments[2])


def _index(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Values at positions of axes: the axes become one, and so do the positions."""
    chosen = {axis: index for axis, index in enumerate(arguments[1]) if index is not None}
    axes = sorted(chosen)
    if any(index.kind == "BOOL" for index in chosen.values()):
        raise NetworkError(f"{node.name} chooses by truth values, as many as there are: a file has fixed shapes")
    if not is_in_sequence(axes):
        # torch puts the axis of several positions that lie apart first.
        rest = [axis for axis in range(len(source.shape)) if axis not in chosen]
        source = permuted(source, [*axes, *rest])
        chosen, axes = {place: chosen[axis] for place, axis in enumerate(axes)}, list(range(len(axes)))
    sizes = [source.shape[axis] for axis in axes]
    merged = reshaped(builder, source, (*source.shape[: axes[0]], prod(sizes), *source.shape[axes[-1] + 1 :]))
    positions: Any = chosen[axes[0]]
    for axis, size in zip(axes[1:], sizes[1:], strict=True):
        positions = _following(builder, positions, size, chosen[axis])
    flat = reshaped(builder, placed(builder, positions), (prod(positions.shape),))
    return reshaped(builder, gathered(builder, merged, axes[0], flat), shape_of(node))


def _following(builder: TfliteBuilder, first: Any, size: int, second: Any) -> Any:
    """Positions in two axes that became one, the second of a size."""
    if all(isinstance(index, Constant) and not index.name for index in (first, second)):
        return constant(first.array * size + second.array % size, "INT32")
    return binary(builder, "ADD", binary(builder, "MUL", first, size), second)


def _pad(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
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


def _fixed_pad(mode: str, axes: int) -> Layout:
    """An operation for one mode of padding."""

    def translate(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
        given = [int(width) for width in arguments[1]]
        widths = [(0, 0)] * (len(source.shape) - axes)
        widths += [(given[2 * index], given[2 * index + 1]) for index in reversed(range(axes))]
        return _continued(builder, source, widths, mode)

    return translate


LAYOUT_TABLE: Mapping[Any, Layout] = {
    **dict.fromkeys(RESHAPES, _reshape),
    **dict.fromkeys(IDENTITIES, _identity),
    **dict.fromkeys(PADS, _pad),
    ATEN.slice.Tensor: _slice,
    ATEN.max_pool2d.default: max_pool,
    ATEN.upsample_nearest2d.vec: nearest,
    ATEN.expand.default: _expand,
    ATEN.permute.default: _permute,
    ATEN.transpose.int: _transpose,
    ATEN.select.int: _select,
}
# Overloads that other operations are decomposed to, or that the registry may not know.
MOVE_TABLE: Mapping[Any, Layout] = {
    **LAYOUT_TABLE,
    **dict.fromkeys(
        (
            ATEN._unsafe_view.default,
            ATEN.squeeze.default,
            ATEN.unflatten.int,
            ATEN.view_as.default,
            ATEN.reshape_as.default,
            ATEN._reshape_alias.default,
        ),
        _reshape,
    ),
    **dict.fromkeys(
        (
            ATEN.detach.default,
            ATEN.detach_.default,
            ATEN.lift_fresh_copy.default,
            ATEN.feature_dropout.default,
            ATEN.native_dropout.default,
            ATEN.alpha_dropout.default,
        ),
        _identity,
    ),
    **dict.fromkeys((ATEN.t.default, ATEN.numpy_T.default, ATEN.mT.default), _turned),
    ATEN.swapaxes.default: _transpose,
    ATEN.movedim.int: _movedim,
    ATEN.movedim.intlist: _movedim,
    **dict.fromkeys(
        (
            ATEN.chunk.default,
            ATEN.split.Tensor,
            ATEN.split.sizes,
            ATEN.split_with_sizes.default,
            ATEN.tensor_split.sections,
            ATEN.unsafe_chunk.default,
            ATEN.unsafe_split.Tensor,
        ),
        _split,
    ),
    ATEN.unbind.int: _unbind,
    ATEN.roll.default: _roll,
    ATEN.flip.default: _flip,
    ATEN.expand_as.default: _expand,
    ATEN.broadcast_to.default: _expand,
    ATEN.repeat.default: _repeat,
    ATEN.tile.default: _repeat,
    ATEN.repeat_interleave.self_int: _repeat_interleave,
    ATEN.pixel_shuffle.default: _pixel_shuffle,
    ATEN.pixel_unshuffle.default: _pixel_unshuffle,
    ATEN.channel_shuffle.default: _channel_shuffle,
    ATEN.native_channel_shuffle.default: _channel_shuffle,
    ATEN.index_select.default: _index_select,
    ATEN._upsample_nearest_exact2d.vec: nearest,
    ATEN._upsample_nearest_exact1d.vec: nearest,
    ATEN.narrow.default: _narrow,
    ATEN.amax.default: _extreme("REDUCE_MAX"),
    ATEN.amin.default: _extreme("REDUCE_MIN"),
    ATEN.max.default: _extreme("REDUCE_MAX"),
    ATEN.min.default: _extreme("REDUCE_MIN"),
    ATEN.max.dim: extreme_along("REDUCE_MAX", "ARG_MAX"),
    ATEN.min.dim: extreme_along("REDUCE_MIN", "ARG_MIN"),
    **dict.fromkeys((ATEN.to.dtype, ATEN.to.dtype_layout, ATEN.to.device, ATEN.to.other, ATEN._to_copy.default), _to),
    ATEN.type_as.default: _to,
    ATEN.index.Tensor: _index,
    ATEN.max_pool1d.default: max_pool,
    ATEN.max_pool2d_with_indices.default: max_pool_alone,
    ATEN.adaptive_max_pool2d.default: adaptive_max,
    ATEN.adaptive_max_pool1d.default: adaptive_max,
    ATEN.upsample_nearest1d.vec: nearest,
    ATEN.reflection_pad1d.default: _fixed_pad("reflect", 1),
    ATEN.reflection_pad2d.default: _fixed_pad("reflect", 2),
    ATEN.replication_pad1d.default: _fixed_pad("replicate", 1),
    ATEN.replication_pad2d.default: _fixed_pad("replicate", 2),
    ATEN._pad_circular.default: lambda builder, source, node, arguments: _fixed_pad("circular", len(arguments[1]) // 2)(
        builder, source, node, arguments
    ),
}
