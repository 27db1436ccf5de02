"""Operations that compute with codes beside layers, in TFLite: additions, means, concatenations, up-sampling.

A row gives None where its kernel does not know a case; then it is computed in floats.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.common.arguments import mean_axes, pair
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import in_order, reshaped
from evo_qnas.networks.export.tflite.numbers import aligned, spread
from evo_qnas.networks.export.tflite.resizing import bilinear
from evo_qnas.networks.export.tflite.values import Constant, Pending, Shape, Tensor, channels_last, shape_of
from evo_qnas.networks.export.tflite.windows import pooled

Operation = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Pending | None]
_MAPS = channels_last(4)


def requantized(source: Tensor) -> Pending:
    """Codes or floats that get the step of the quantizer behind them."""
    return Pending(code="QUANTIZE", inputs=(source.tensor,), shape=source.shape, order=source.order)


def are_codes(*values: Any) -> bool:
    """True for tensors of codes."""
    return all(isinstance(value, Tensor) and value.quantizer is not None for value in values)


def _pairwise(code: str, options: str) -> Operation:
    def translate(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
        first, second, *rest = arguments
        if not are_codes(first, second) or any(scale != 1 for scale in rest):
            return None
        shape = spread(first.shape, second.shape)
        lead = first if first.shape == shape else second
        if lead.shape != shape:
            return None
        made = getattr(builder.schema, options)()
        inputs = tuple(aligned(builder, part, len(shape), lead.order).tensor for part in (first, second))
        return Pending(code=code, inputs=inputs, shape=shape, order=lead.order, options=made, fuses=True)

    return translate


def _cat(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    parts = [part for part in arguments[0] if not (isinstance(part, (Tensor, Constant)) and part.shape == (0,))]
    if not are_codes(*parts):
        return None
    rank = len(parts[0].shape)
    return joined(builder, [in_order(builder, part, parts[0].order) for part in parts], int([*arguments, 0][1]) % rank)


def _stack(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    parts, axis = [*arguments, 0][:2]
    if not are_codes(*parts):
        return None
    rank = len(parts[0].shape) + 1
    axis = int(axis) % rank
    shape = (*parts[0].shape[:axis], 1, *parts[0].shape[axis:])
    made = [reshaped(builder, part, shape) for part in parts]
    return joined(builder, [in_order(builder, part, made[0].order) for part in made], axis)


def joined(builder: TfliteBuilder, parts: Sequence["Tensor | Pending"], axis: int) -> Pending:
    """Parts in one order, one behind the other along an axis, with the codes of the quantizer behind them."""
    total = sum(part.shape[axis] for part in parts)
    shape: Shape = (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :])
    options = builder.schema.ConcatenationOptionsT(axis=parts[0].order.index(axis))
    return Pending(
        code="CONCATENATION", inputs=(), shape=shape, order=parts[0].order, options=options, parts=tuple(parts)
    )


def _mean(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, axes, keep = [*arguments, False][:3]
    if not are_codes(source) or len(source.shape) not in (3, 4):
        return None
    rank = len(source.shape)
    chosen = mean_axes(axes, rank)
    if rank == 4 and chosen != [2, 3]:
        return None
    inputs = (source.tensor, builder.numbers(sorted(source.position(axis) for axis in chosen)))
    options = builder.schema.ReducerOptionsT(keepDims=bool(keep))
    left = [axis for axis in range(rank) if axis not in chosen]
    shape = tuple(1 if axis in chosen else source.shape[axis] for axis in range(rank))
    order = source.order
    if not keep:
        shape, order = (
            tuple(source.shape[axis] for axis in left),
            tuple(left.index(axis) for axis in source.order if axis in left),
        )
    return Pending(code="MEAN", inputs=inputs, shape=shape, order=order, options=options)


def _adaptive_mean(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, shape = arguments[0], shape_of(node)
    if not are_codes(source):
        return None
    if shape[2:] == (1, 1):
        source = in_order(builder, source, _MAPS)
        options = builder.schema.ReducerOptionsT(keepDims=True)
        inputs = (source.tensor, builder.numbers([1, 2]))
        return Pending(code="MEAN", inputs=inputs, shape=shape, order=_MAPS, options=options)
    if any(size % target for size, target in zip(source.shape[2:], shape[2:], strict=True)):
        return None
    kernel = [size // target for size, target in zip(source.shape[2:], shape[2:], strict=True)]
    return requantized(pooled(builder, source, shape, (kernel, kernel, 0), "AVERAGE_POOL_2D"))


def _mean_pool(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, kernel, stride, padding, ceil, _count, divisor = [*arguments, None, 0, False, True, None][:7]
    if not are_codes(source) or divisor is not None or ceil or any(pair(padding)):
        return None
    return requantized(pooled(builder, source, shape_of(node), (kernel, stride, 0), "AVERAGE_POOL_2D"))


def _bilinear(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    """Up-sampling of codes, which the runtime rounds, and their new step, for which it rounds again."""
    source, shape, scales = arguments[0], shape_of(node), arguments[3]
    odd = scales and any(s * n != m for s, n, m in zip(scales, source.shape[2:], shape[2:], strict=True))
    if not are_codes(source) or odd:
        return None
    return requantized(bilinear(builder, source, shape, corners=bool(arguments[2])))


OPERATION_TABLE: Mapping[Any, Operation] = {
    ATEN.add.Tensor: _pairwise("ADD", "AddOptionsT"),
    ATEN.sub.Tensor: _pairwise("SUB", "SubOptionsT"),
    ATEN.mul.Tensor: _pairwise("MUL", "MulOptionsT"),
    ATEN.cat.default: _cat,
    ATEN.stack.default: _stack,
    ATEN.mean.dim: _mean,
    ATEN.adaptive_avg_pool2d.default: _adaptive_mean,
    ATEN.avg_pool2d.default: _mean_pool,
    ATEN.upsample_bilinear2d.vec: _bilinear,
}
