"""Values chosen from a tensor: parts, positions, the largest and the least."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import source_of
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import (
    emit,
    gathered,
    in_order,
    is_in_sequence,
    permuted,
    placed,
    reshaped,
    selected,
    sliced,
)
from evo_qnas.networks.export.tflite.numbers import binary, constant, reduced
from evo_qnas.networks.export.tflite.values import IMAGES, Constant, Tensor, shape_of

Layout = Callable[[TfliteBuilder, Tensor, fx.Node, Sequence[Any]], Any]


def _whole_axis(node: fx.Node, axis: int) -> bool:
    """True for an axis whose size depends on how many images there are."""
    value = source_of(node).meta.get(IMAGES) if isinstance(source_of(node), fx.Node) else None
    return isinstance(value, torch.Tensor) and not isinstance(value.shape[axis], int)


def slice_along(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """A part along an axis."""
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


def select_along(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """The values at a position of an axis."""
    axis = int(arguments[1]) % len(source.shape)
    if _whole_axis(node, axis):
        raise NetworkError(f"{node.name} takes one of the images: only parts of one image can be exported")
    return selected(builder, source, axis, int(arguments[2]))


def narrow(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """A part along an axis by its start and length."""
    start = int(arguments[2])
    return slice_along(builder, source, node, [source, arguments[1], start, start + int(arguments[3]), 1])


def extreme(code: str) -> Layout:
    """The largest or least number over axes; codes are in the order of their numbers."""

    def translate(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
        axes, keep = [*arguments[1:], None, False][:2]
        named = [int(axis) for axis in axes] if isinstance(axes, (list, tuple)) else axes
        return reduced(builder, code, source, [named] if isinstance(named, int) else named or None, keep=bool(keep))

    return translate


def index_select(builder: TfliteBuilder, source: Tensor, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Values at positions along an axis."""
    return gathered(builder, source, int(arguments[1]), arguments[2])


def index_by(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
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


def gather(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Values along an axis, at positions of its own for each place of the other axes."""
    positions, rank = placed(builder, arguments[2]), len(source.shape)
    axis = int(arguments[1]) % rank
    rest = [other for other in range(rank) if other != axis]
    if _whole_axis(node, axis) or any(
        _whole_axis(node, other) and source.shape[other] != positions.shape[other] for other in rest
    ):
        raise NetworkError(f"{node.name} takes a part of the images: only parts of one image can be exported")
    for other in rest:
        source = sliced(builder, source, other, 0, positions.shape[other])
    count = prod(positions.shape[other] for other in rest)
    lines = [
        reshaped(builder, permuted(part, [*rest, axis]), (count, part.shape[axis])) for part in (source, positions)
    ]
    values, places = (in_order(builder, part, (0, 1)) for part in lines)
    options = builder.schema.GatherOptionsT(axis=1, batchDims=1)
    inputs = (values.tensor, places.tensor)
    made = emit(builder, "GATHER", values, inputs, shape=places.shape, order=(0, 1), options=options)
    whole = reshaped(builder, made, (*(positions.shape[other] for other in rest), positions.shape[axis]))
    return permuted(whole, [[*rest, axis].index(other) for other in range(rank)])


def _following(builder: TfliteBuilder, first: Any, size: int, second: Any) -> Any:
    """Positions in two axes that became one, the second of a size."""
    if all(isinstance(index, Constant) and not index.name for index in (first, second)):
        return constant(first.array * size + second.array % size, "INT32")
    return binary(builder, "ADD", binary(builder, "MUL", first, size), second)
