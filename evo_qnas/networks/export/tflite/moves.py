"""Moving the numbers of tensors of any kind: their order in the file, shapes, parts, copies."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.values import Constant, Shape, Tensor, identity


def emit(
    builder: TfliteBuilder,
    code: str,
    source: Tensor,
    inputs: Sequence[int],
    *,
    shape: Shape,
    order: Shape,
    options: Any = None,
    kind: str | None = None,
) -> Tensor:
    """The output of a new operator: codes of the source's step, or numbers of its kind (or of another one)."""
    other = kind is not None and kind != source.kind
    quantizer, offset = (None, 0) if other else (source.quantizer, source.offset)
    made = Tensor(
        tensor=-1, shape=tuple(shape), order=order, kind=kind or source.kind, quantizer=quantizer, offset=offset
    )
    tensor = builder.tensor(code.lower(), made.stored, made.kind, step=made.step, zero=made.zero)
    builder.operator(code, inputs, tensor, options)
    return replace(made, tensor=tensor)


def placed(builder: TfliteBuilder, source: "Tensor | Constant", order: Shape | None = None) -> Tensor:
    """A tensor in the file; a constant is stored here, in an order, unless it is there already."""
    if isinstance(source, Tensor):
        return source if order is None else in_order(builder, source, order)
    order = identity(source.array.ndim) if order is None else order
    if source.name not in builder.named:
        values = np.ascontiguousarray(source.array.transpose(order)).reshape([source.shape[axis] for axis in order])
        if not source.name:
            return Tensor(tensor=builder.array(values), shape=source.shape, order=order, kind=source.kind)
        stored = "INT64" if values.dtype == np.int64 else source.kind
        tensor = builder.tensor(source.name, values.shape, stored, content=values.tobytes())
        made = Tensor(tensor=tensor, shape=source.shape, order=order, kind=stored)
        if stored != source.kind:
            made = emit(
                builder,
                "CAST",
                made,
                (tensor,),
                shape=made.shape,
                order=order,
                options=builder.schema.CastOptionsT(),
                kind=source.kind,
            )
        builder.named[source.name] = made
        return made
    found: Tensor = builder.named[source.name]
    return in_order(builder, reshaped(builder, found, source.shape), order)


def renewed(builder: TfliteBuilder, source: Tensor) -> Tensor:
    """A tensor of its own with the same numbers."""
    target = list(source.stored)
    inputs = (source.tensor, builder.numbers(target))
    options = builder.schema.ReshapeOptionsT(newShape=target)
    return emit(builder, "RESHAPE", source, inputs, shape=source.shape, order=source.order, options=options)


def _order_of_values(shape: Shape, order: Shape) -> list[int]:
    return [axis for axis in order if shape[axis] != 1]


def _relaid(builder: TfliteBuilder, source: Tensor, shape: Shape, order: Shape) -> Tensor:
    """The same numbers, in the same order in the file, in another shape."""
    made = replace(source, shape=tuple(shape), order=order)
    if made.stored == source.stored:
        return made
    # -1 lets a reader run several images at once.
    target = [-1, *made.stored[1:]] if made.stored else []
    options = builder.schema.ReshapeOptionsT(newShape=target)
    return emit(
        builder,
        "RESHAPE",
        source,
        (source.tensor, builder.numbers(target)),
        shape=made.shape,
        order=order,
        options=options,
    )


def in_order(builder: TfliteBuilder, source: Tensor, order: Shape) -> Tensor:
    """The tensor with its axes in an order in the file."""
    if order == source.order:
        return source
    if _order_of_values(source.shape, order) == _order_of_values(source.shape, source.order):
        return _relaid(builder, source, source.shape, order)
    axes = builder.numbers([source.order.index(axis) for axis in order])
    options = builder.schema.TransposeOptionsT()
    return emit(builder, "TRANSPOSE", source, (source.tensor, axes), shape=source.shape, order=order, options=options)


def groups_of(source: Shape, target: Shape) -> list[tuple[list[int], list[int]]]:
    """The axes of two shapes of equally many values, in the smallest groups of equally many values.

    Example:
        >>> groups_of((2, 6, 4), (2, 3, 2, 4))
        [([0], [0]), ([1], [1, 2]), ([2], [3])]
        >>> groups_of((5, 4), (1, 20))
        [([0, 1], [0, 1])]
    """
    groups = []
    one = other = 0
    while one < len(source) or other < len(target):
        first, second = [], []
        sizes = [1, 1]
        if one < len(source):
            sizes[0], one = source[one], one + 1
            first.append(one - 1)
        if other < len(target):
            sizes[1], other = target[other], other + 1
            second.append(other - 1)
        while sizes[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                sizes[0], one = sizes[0] * source[one], one + 1
                first.append(one - 1)
            else:
                sizes[1], other = sizes[1] * target[other], other + 1
                second.append(other - 1)
        groups.append((first, second))
    return groups


def reshaped(builder: TfliteBuilder, source: "Tensor | Constant", shape: Sequence[int]) -> Tensor:
    """The same numbers, counted as torch counts them, in another shape.

    Axes that are joined have to lie one behind the other in the file; groups of them keep their order.
    """
    source, shape = placed(builder, source), tuple(shape)
    if shape == source.shape:
        return source
    keys, last = [], -1.0
    groups = groups_of(source.shape, shape)
    for axes, _ in groups:
        real = [source.position(axis) for axis in axes if source.shape[axis] != 1] or list(map(source.position, axes))
        last = min(real, default=last)
        keys.append(last)
    ranked = sorted(range(len(groups)), key=lambda index: (keys[index], index))
    before = tuple(axis for index in ranked for axis in groups[index][0])
    after = tuple(axis for index in ranked for axis in groups[index][1])
    if _order_of_values(source.shape, before) != _order_of_values(source.shape, source.order):
        source = in_order(builder, source, before)
    return _relaid(builder, source, shape, after)


def permuted(source: Tensor, axes: Sequence[int]) -> Tensor:
    """Axes in another order for torch; the file stays as it is."""
    axes = [axis % len(source.shape) for axis in axes]
    shape = tuple(source.shape[axis] for axis in axes)
    return replace(source, shape=shape, order=tuple(axes.index(axis) for axis in source.order))


def lifted(source: Tensor, rank: int) -> tuple[Shape, Shape]:
    """Shape and order of a tensor with axes of one value before its own."""
    more = rank - len(source.shape)
    return (1,) * more + source.shape, (*range(more), *(axis + more for axis in source.order))


def sliced(builder: TfliteBuilder, source: Tensor, axis: int, start: int, end: int, *, step: int = 1) -> Tensor:
    """A part along an axis: whole numbers within it."""
    axis %= len(source.shape)
    if (start, step) == (0, 1) and end >= source.shape[axis]:
        return source
    rank, position = len(source.shape), source.position(axis)
    begins, ends, steps = [0] * rank, list(source.stored), [1] * rank
    begins[position], ends[position], steps[position] = start, end, step
    shape = (*source.shape[:axis], max(0, -(-(end - start) // step)), *source.shape[axis + 1 :])
    # All images, however many there are.
    mask = 0 if position == 0 else 1
    options = builder.schema.StridedSliceOptionsT(beginMask=mask, endMask=mask)
    inputs = (source.tensor, *(builder.numbers(values) for values in (begins, ends, steps)))
    return emit(builder, "STRIDED_SLICE", source, inputs, shape=shape, order=source.order, options=options)


def selected(builder: TfliteBuilder, source: Tensor, axis: int, index: int) -> Tensor:
    """The values at a position of an axis, which goes."""
    axis %= len(source.shape)
    index %= source.shape[axis]
    part = sliced(builder, source, axis, index, index + 1)
    return reshaped(builder, part, source.shape[:axis] + source.shape[axis + 1 :])


def concatenated(builder: TfliteBuilder, parts: Sequence["Tensor | Constant"], axis: int) -> Tensor:
    """Tensors of one kind (codes of one step) one behind the other."""
    largest = max((part for part in parts), key=lambda part: (isinstance(part, Tensor), np.prod(part.shape)))
    order = placed(builder, largest).order
    made = [placed(builder, part, order) for part in parts]
    if len(made) == 1:
        return made[0]
    axis %= len(order)
    total = sum(part.shape[axis] for part in made)
    shape = (*made[0].shape[:axis], total, *made[0].shape[axis + 1 :])
    options = builder.schema.ConcatenationOptionsT(axis=order.index(axis))
    return emit(
        builder, "CONCATENATION", made[0], [part.tensor for part in made], shape=shape, order=order, options=options
    )


def gathered(
    builder: TfliteBuilder, source: Tensor, axis: int, positions: "Tensor | Constant | Sequence[int]"
) -> Tensor:
    """The values at positions along an axis; an axis of the positions takes its place."""
    axis %= len(source.shape)
    if isinstance(positions, (Tensor, Constant)):
        indices = placed(builder, positions)
        count, tensor = indices.shape[0], indices.tensor
    else:
        count, tensor = len(positions), builder.numbers(list(positions))
    shape = (*source.shape[:axis], count, *source.shape[axis + 1 :])
    options = builder.schema.GatherOptionsT(axis=source.position(axis))
    return emit(builder, "GATHER", source, (source.tensor, tensor), shape=shape, order=source.order, options=options)


def reversed_along(builder: TfliteBuilder, source: Tensor, axis: int) -> Tensor:
    """The values of an axis from the last to the first."""
    axes = builder.numbers([source.position(axis)])
    options = builder.schema.ReverseV2OptionsT()
    return emit(
        builder, "REVERSE_V2", source, (source.tensor, axes), shape=source.shape, order=source.order, options=options
    )


def copied(builder: TfliteBuilder, source: Tensor, shape: Shape) -> Tensor:
    """Axes of one value with copies of it, in a shape of the same or of more axes."""
    own, order = lifted(source, len(shape))
    if shape == own:
        return reshaped(builder, source, shape)
    source = _relaid(builder, source, own, order)
    target = builder.numbers([shape[axis] for axis in order])
    options = builder.schema.BroadcastToOptionsT()
    return emit(builder, "BROADCAST_TO", source, (source.tensor, target), shape=shape, order=order, options=options)


def tiled(builder: TfliteBuilder, source: Tensor, times: Sequence[int]) -> Tensor:
    """The whole tensor several times along each axis."""
    own, order = lifted(source, len(times))
    source = _relaid(builder, source, own, order)
    if all(count == 1 for count in times):
        return source
    shape = tuple(size * count for size, count in zip(own, times, strict=True))
    counts = builder.numbers([times[axis] for axis in order])
    return emit(
        builder,
        "TILE",
        source,
        (source.tensor, counts),
        shape=shape,
        order=order,
        options=builder.schema.TileOptionsT(),
    )


def widened(
    builder: TfliteBuilder,
    source: Tensor,
    widths: Sequence[tuple[int, int]],
    filling: int | None,
    *,
    mirrored: bool = False,
) -> Tensor:
    """A rim of a number (of zero for None) around axes, or of mirrored values; widths by axis of torch."""
    if not any(map(any, widths)):
        return source
    shape = tuple(size + sum(width) for size, width in zip(source.shape, widths, strict=True))
    rims = builder.numbers([list(widths[axis]) for axis in source.order])
    inputs: tuple[int, ...] = (source.tensor, rims)
    code, options = "PAD", builder.schema.PadOptionsT()
    if mirrored:
        code, options = "MIRROR_PAD", builder.schema.MirrorPadOptionsT()
    elif filling is not None:
        inputs, code, options = (*inputs, filling), "PADV2", builder.schema.PadV2OptionsT()
    return emit(builder, code, source, inputs, shape=shape, order=source.order, options=options)


def is_in_sequence(axes: Sequence[int]) -> bool:
    """True for axes each of which follows the one before."""
    return all(second == first + 1 for first, second in pairwise(axes))
