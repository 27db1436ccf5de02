"""Layout operations that take tensors apart, choose from them or put their values into another order, on any values."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.export.common.arguments import static_shape
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import LayoutOperation, cast, integers, reshaped, shape_tensor, type_of

_END = 2**31 - 1


def reordered(builder: GraphBuilder, source: str, node: fx.Node, _arguments: Sequence[Any]) -> str:
    """Axes in another order, which torch itself tells: no two axes of what it is asked with have one size."""
    rank = len(source_of(node).meta["val"].shape)
    sizes = [axis + 2 for axis in range(rank)]
    target: Any = node.target
    result = target(torch.empty(sizes, device="meta"), *node.args[1:], **node.kwargs)
    return builder.node("Transpose", source, perm=[sizes.index(int(size)) for size in result.shape])


def sliced(builder: GraphBuilder, source: str, axis: int, *, start: int, end: int, step: int = 1) -> str:
    """A piece of a tensor along one axis."""
    values = ([start], [end], [axis], [step])
    return builder.node("Slice", source, *(integers(builder, value) for value in values))


def _slice(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    axis, start, end, step = arguments[1:5]
    end = _END if end is None or not isinstance(end, int) else min(end, _END)
    return sliced(builder, source, int(axis), start=int(start or 0), end=end, step=int(step))


def _narrow(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    axis, start, length = (int(value) for value in arguments[1:4])
    end = start + length
    return sliced(builder, source, axis, start=start, end=end if end else _END)


def _select(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    index = builder.constant(int(arguments[2]), "int64")
    return builder.node("Gather", source, index, axis=int(arguments[1]))


def _split(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> list[str]:
    axis = int(arguments[2])
    parts: Any = node.meta["val"]
    sizes = [part.shape[axis] for part in parts]
    if not all(isinstance(size, int) for size in sizes):
        raise NetworkError(f"{node.name} takes the batch apart: keep it outside the network")
    if len(sizes) == 1:
        return [source]
    return builder.several("Split", source, integers(builder, sizes), outputs=len(sizes), axis=axis)


def _unbind(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> list[str]:
    parts: Any = node.meta["val"]
    places = range(len(parts))
    return [
        builder.node("Gather", source, builder.constant(place, "int64"), axis=int(arguments[1])) for place in places
    ]


def _index_select(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    return builder.node("Gather", source, arguments[2], axis=int(arguments[1]))


def _gather(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    return builder.node("GatherElements", source, arguments[2], axis=int(arguments[1]))


def _index(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    """Positions along one axis, or along several that lie side by side, which become one."""
    names: Any = arguments[1]
    nodes: Any = node.args[1]
    places = [place for place, name in enumerate(names) if name is not None]
    if any(type_of(nodes[place]) is torch.bool for place in places):
        raise NetworkError(f"{node.name} chooses by a mask, so that its size depends on the values: use torch.where")
    if places != list(range(places[0], places[-1] + 1)):
        raise NetworkError(f"{node.name} chooses along axes that do not lie side by side: choose one after the other")
    shape = list(source_of(node).meta["val"].shape)
    first, last = places[0], places[-1] + 1
    sizes = shape[first:last]
    if len(places) == 1:
        return builder.node("Gather", source, names[first], axis=first)
    if not all(isinstance(size, int) for size in sizes[1:]):
        raise NetworkError(f"{node.name} chooses along an axis behind the batch that depends on it: swap the axes")
    total = cast(builder, names[first], torch.int64)
    whole = isinstance(sizes[0], int)
    if whole:
        total = builder.node("Mod", total, integers(builder, int(sizes[0])))
    for size, name in zip(sizes[1:], names[first + 1 : last], strict=True):
        inner = builder.node("Mod", cast(builder, name, torch.int64), integers(builder, int(size)))
        total = builder.node("Add", builder.node("Mul", total, integers(builder, int(size))), inner)
    rows = reshaped(builder, source, [*shape[:first], int(np.prod(sizes)) if whole else -1, *shape[last:]])
    return builder.node("Gather", rows, total, axis=first)


def _roll(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    shape = static_shape(source_of(node))
    if not arguments[2]:
        raise NetworkError(f"{node.name} rolls a tensor as one row of values: name the axes")
    for shift, axis in zip(arguments[1], arguments[2], strict=True):
        if shape[axis] < 0:
            raise NetworkError(f"{node.name} rolls the batch: keep it outside the network")
        start = -int(shift) % shape[axis]
        if start:
            parts = (
                sliced(builder, source, axis, start=start, end=_END),
                sliced(builder, source, axis, start=0, end=start),
            )
            source = builder.node("Concat", *parts, axis=int(axis))
    return source


def _flip(builder: GraphBuilder, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    for axis in arguments[1]:
        source = sliced(builder, source, int(axis), start=-1, end=-(2**31), step=-1)
    return source


def _expand(builder: GraphBuilder, source: str, node: fx.Node, _arguments: Sequence[Any]) -> str:
    before, after = static_shape(source_of(node)), node.meta["val"].shape
    missing = len(after) - len(before)
    # 1 keeps an axis as it is, whatever the batch.
    sizes = [
        1 if place >= missing and before[place - missing] == (size if isinstance(size, int) else -1) else size
        for place, size in enumerate(after)
    ]
    if not all(isinstance(size, int) for size in sizes):
        return builder.node("Expand", source, shape_tensor(builder, sizes, batch=True))
    return builder.node("Expand", source, integers(builder, [max(1, size) for size in static_shape(node)]))


def _repeat(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    repeats, rank = list(arguments[1]), len(source_of(node).meta["val"].shape)
    if len(repeats) > rank:
        source = builder.node("Unsqueeze", source, integers(builder, list(range(len(repeats) - rank))))
    repeats = [1] * (rank - len(repeats)) + repeats
    return builder.node("Tile", source, shape_tensor(builder, repeats, batch=True))


def _repeat_interleave(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    count, axis = int(arguments[1]), arguments[2]
    if axis is None:
        raise NetworkError(f"{node.name} repeats the values of a tensor as one row: name the axis")
    rank = len(source_of(node).meta["val"].shape)
    place = int(axis) % rank
    wide = builder.node("Unsqueeze", source, integers(builder, [place + 1]))
    sizes = [1] * (rank + 1)
    sizes[place + 1] = count
    spread = builder.node("Expand", wide, integers(builder, sizes))
    return reshaped(builder, spread, node.meta["val"].shape)


def _shuffled(order: Sequence[int], inner: Any) -> LayoutOperation:
    """A view with more axes, their order changed, and a view with as many axes as before."""

    def translate(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
        wide = integers(builder, [-1, *inner(static_shape(source_of(node))[1:], int(arguments[1]))])
        turned = builder.node("Transpose", builder.node("Reshape", source, wide), perm=list(order))
        return reshaped(builder, turned, node.meta["val"].shape)

    return translate


def _groups(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    shape, groups = static_shape(node), int(arguments[1])
    wide = integers(builder, [-1, groups, shape[1] // groups, *shape[2:]])
    order = [0, 2, 1, *range(3, len(shape) + 1)]
    turned = builder.node("Transpose", builder.node("Reshape", source, wide), perm=order)
    return reshaped(builder, turned, node.meta["val"].shape)


def _unfold(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    rank = len(source_of(node).meta["val"].shape)
    axis, size, step = int(arguments[1]) % rank, int(arguments[2]), int(arguments[3])
    count = static_shape(node)[axis]
    windows = np.arange(count)[:, None] * step + np.arange(size)
    gathered = builder.node("Gather", source, integers(builder, windows), axis=axis)
    order = [place for place in range(rank + 1) if place != axis + 1] + [axis + 1]
    return builder.node("Transpose", gathered, perm=order)


def _diagonal(builder: GraphBuilder, source: str, node: fx.Node, arguments: Sequence[Any]) -> str:
    shape = list(source_of(node).meta["val"].shape)
    offset, one, other = int(arguments[1]), *(int(axis) % len(shape) for axis in arguments[2:4])
    rest = [axis for axis in range(len(shape)) if axis not in {one, other}]
    turned = builder.node("Transpose", source, perm=[*rest, one, other])
    flat = reshaped(builder, turned, [*(shape[axis] for axis in rest), int(shape[one]) * int(shape[other])])
    places = np.arange(static_shape(node)[-1])
    rows, columns = places + max(0, -offset), places + max(0, offset)
    return builder.node("Gather", flat, integers(builder, rows * int(shape[other]) + columns), axis=len(rest))


PARTS: Mapping[Any, LayoutOperation] = {
    ATEN.permute.default: reordered,
    ATEN.transpose.int: reordered,
    ATEN.swapaxes.default: reordered,
    ATEN.swapdims.default: reordered,
    ATEN.t.default: reordered,
    ATEN.mT.default: reordered,
    ATEN.numpy_T.default: reordered,
    ATEN.adjoint.default: reordered,
    ATEN.movedim.int: reordered,
    ATEN.movedim.intlist: reordered,
    ATEN.slice.Tensor: _slice,
    ATEN.narrow.default: _narrow,
    ATEN.select.int: _select,
    ATEN.chunk.default: _split,
    ATEN.split.Tensor: _split,
    ATEN.split.sizes: _split,
    ATEN.split_with_sizes.default: _split,
    ATEN.tensor_split.sections: _split,
    ATEN.tensor_split.indices: _split,
    ATEN.unbind.int: _unbind,
    ATEN.index_select.default: _index_select,
    ATEN.gather.default: _gather,
    ATEN.index.Tensor: _index,
    ATEN.roll.default: _roll,
    ATEN.flip.default: _flip,
    ATEN.expand.default: _expand,
    ATEN.expand_as.default: _expand,
    ATEN.repeat.default: _repeat,
    ATEN.tile.default: _repeat,
    ATEN.repeat_interleave.self_int: _repeat_interleave,
    ATEN.pixel_shuffle.default: _shuffled((0, 1, 4, 2, 5, 3), lambda s, r: (s[0] // r**2, r, r, *s[1:])),
    ATEN.pixel_unshuffle.default: _shuffled((0, 1, 3, 5, 2, 4), lambda s, r: (s[0], s[1] // r, r, s[2] // r, r)),
    ATEN.channel_shuffle.default: _groups,
    ATEN.native_channel_shuffle.default: _groups,
    ATEN.unfold.default: _unfold,
    ATEN.diagonal.default: _diagonal,
}
