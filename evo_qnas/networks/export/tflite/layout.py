"""Layout operations in TFLite: they only move numbers of any kind, codes among them, or choose among them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.common.layout import IDENTITIES, PADS, RESHAPES
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.choosing import (
    extreme,
    gather,
    index_by,
    index_select,
    narrow,
    select_along,
    slice_along,
)
from evo_qnas.networks.export.tflite.copies import (
    channel_shuffle,
    expand,
    flip,
    pixel_shuffle,
    pixel_unshuffle,
    repeat_axes,
    repeat_interleave,
    roll,
)
from evo_qnas.networks.export.tflite.moves import (
    permuted,
    reshaped,
    selected,
    sliced,
)
from evo_qnas.networks.export.tflite.numbers import as_floats, cast
from evo_qnas.networks.export.tflite.padding import fixed_pad, pad_axes
from evo_qnas.networks.export.tflite.reductions import extreme_along
from evo_qnas.networks.export.tflite.resizing import nearest
from evo_qnas.networks.export.tflite.values import Tensor, kind_of, shape_of
from evo_qnas.networks.export.tflite.windows import adaptive_max, max_pool, max_pool_alone

Layout = Callable[[TfliteBuilder, Tensor, fx.Node, Sequence[Any]], Any]


def _identity(_builder: TfliteBuilder, source: Tensor, _node: fx.Node, _arguments: Sequence[Any]) -> Tensor:
    return source


def _reshape(builder: TfliteBuilder, source: Tensor, node: fx.Node, _arguments: Sequence[Any]) -> Tensor:
    return reshaped(builder, source, shape_of(node))


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


LAYOUT_TABLE: Mapping[Any, Layout] = {
    **dict.fromkeys(RESHAPES, _reshape),
    **dict.fromkeys(IDENTITIES, _identity),
    **dict.fromkeys(PADS, pad_axes),
    ATEN.slice.Tensor: slice_along,
    ATEN.max_pool2d.default: max_pool,
    ATEN.upsample_nearest2d.vec: nearest,
    ATEN.expand.default: expand,
    ATEN.permute.default: _permute,
    ATEN.transpose.int: _transpose,
    ATEN.select.int: select_along,
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
    ATEN.roll.default: roll,
    ATEN.flip.default: flip,
    ATEN.expand_as.default: expand,
    ATEN.broadcast_to.default: expand,
    ATEN.repeat.default: repeat_axes,
    ATEN.tile.default: repeat_axes,
    ATEN.repeat_interleave.self_int: repeat_interleave,
    ATEN.pixel_shuffle.default: pixel_shuffle,
    ATEN.pixel_unshuffle.default: pixel_unshuffle,
    ATEN.channel_shuffle.default: channel_shuffle,
    ATEN.native_channel_shuffle.default: channel_shuffle,
    ATEN.index_select.default: index_select,
    ATEN._upsample_nearest_exact2d.vec: nearest,
    ATEN._upsample_nearest_exact1d.vec: nearest,
    ATEN.narrow.default: narrow,
    ATEN.amax.default: extreme("REDUCE_MAX"),
    ATEN.amin.default: extreme("REDUCE_MIN"),
    ATEN.max.default: extreme("REDUCE_MAX"),
    ATEN.min.default: extreme("REDUCE_MIN"),
    ATEN.max.dim: extreme_along("REDUCE_MAX", "ARG_MAX"),
    ATEN.min.dim: extreme_along("REDUCE_MIN", "ARG_MIN"),
    **dict.fromkeys((ATEN.to.dtype, ATEN.to.dtype_layout, ATEN.to.device, ATEN.to.other, ATEN._to_copy.default), _to),
    ATEN.type_as.default: _to,
    ATEN.index.Tensor: index_by,
    ATEN.gather.default: gather,
    ATEN.max_pool1d.default: max_pool,
    ATEN.max_pool2d_with_indices.default: max_pool_alone,
    ATEN.adaptive_max_pool2d.default: adaptive_max,
    ATEN.adaptive_max_pool1d.default: adaptive_max,
    ATEN.upsample_nearest1d.vec: nearest,
    ATEN.reflection_pad1d.default: fixed_pad("reflect", 1),
    ATEN.reflection_pad2d.default: fixed_pad("reflect", 2),
    ATEN.replication_pad1d.default: fixed_pad("replicate", 1),
    ATEN.replication_pad2d.default: fixed_pad("replicate", 2),
    ATEN._pad_circular.default: lambda builder, source, node, arguments: fixed_pad("circular", len(arguments[1]) // 2)(
        builder, source, node, arguments
    ),
}
