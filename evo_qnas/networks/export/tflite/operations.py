"""Operations that compute with codes beside layers, in TFLite: additions, means, concatenations, up-sampling."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.common.arguments import adaptive_kernel, mean_axes, pair
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.layout import pooled, relaid
from evo_qnas.networks.export.tflite.values import Int8Codes, Pending, shape_of, stored_axis, stored_shape

Operation = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Pending]


def _requantized(source: Int8Codes) -> Pending:
    return Pending(code="QUANTIZE", inputs=(source.tensor,), shape=source.shape)


def _pairwise(code: str, options: str) -> Operation:
    def translate(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending:
        first, second, *rest = arguments
        if not isinstance(first, Int8Codes) or not isinstance(second, Int8Codes) or any(scale != 1 for scale in rest):
            raise NetworkError(f"{node.name} computes with a number that is no activation: TFLite has no such operator")
        if len(first.shape) != len(second.shape):
            raise NetworkError(
                f"{node.name} takes {first.shape} and {second.shape}: give both the same axes for TFLite"
            )
        made = getattr(builder.schema, options)()
        inputs = (first.tensor, second.tensor)
        return Pending(code=code, inputs=inputs, shape=shape_of(node), options=made, fuses=True)

    return translate


def _cat(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending:
    parts, axis = tuple(arguments[0]), stored_axis(int(arguments[1]), len(shape_of(node)))
    options = builder.schema.ConcatenationOptionsT(axis=axis)
    return Pending(code="CONCATENATION", inputs=(), shape=shape_of(node), options=options, parts=parts)


def _mean(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending:
    source, axes, keep = arguments[:3]
    rank = len(source.shape)
    chosen = mean_axes(axes, rank)
    if rank == 4 and not keep and chosen != [2, 3]:
        raise NetworkError(f"{node.name} is a mean over axes {chosen}: TFLite's files have maps, keep the axes")
    inputs = (source.tensor, builder.numbers(sorted(stored_axis(axis, rank) for axis in chosen)))
    options = builder.schema.ReducerOptionsT(keepDims=bool(keep))
    return Pending(code="MEAN", inputs=inputs, shape=shape_of(node), options=options)


def _adaptive_mean(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending:
    source, shape = arguments[0], shape_of(node)
    if shape[2:] == (1, 1):
        options = builder.schema.ReducerOptionsT(keepDims=True)
        inputs = (source.tensor, builder.numbers([1, 2]))
        return Pending(code="MEAN", inputs=inputs, shape=shape, options=options)
    kernel = adaptive_kernel(node, source.shape[2:], shape[2:])
    return _requantized(pooled(builder, source, node, (kernel, kernel, 0), "AVERAGE_POOL_2D"))


def _mean_pool(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending:
    source, kernel, stride, padding, ceil, _count, divisor = arguments
    if divisor is not None or ceil or any(pair(padding)):
        raise NetworkError(
            f"{node.name} is a mean with padding or a divisor, which TFLite does not know: pad before it"
        )
    return _requantized(pooled(builder, source, node, (kernel, stride, 0), "AVERAGE_POOL_2D"))


def _bilinear(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Pending:
    """Up-sampling of codes, which the runtime rounds, and their new step, for which it rounds again."""
    source, shape = arguments[0], shape_of(node)
    size = builder.numbers(shape[2:])
    options = bilinear_options(builder, corners=bool(arguments[2]))
    return _requantized(relaid(builder, source, shape, "RESIZE_BILINEAR", inputs=(size,), options=options))


def bilinear_options(builder: TfliteBuilder, *, corners: bool) -> Any:
    """Options of how positions are computed."""
    return builder.schema.ResizeBilinearOptionsT(alignCorners=corners, halfPixelCenters=not corners)


def _in_floats(code: str) -> Operation:
    """A function of single numbers, on floats."""

    def translate(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Pending:
        source = arguments[0]
        floats = as_floats(builder, source)
        output = builder.tensor(code.lower(), stored_shape(source.shape), "FLOAT32")
        builder.operator(code, (floats,), output)
        return Pending(code="QUANTIZE", inputs=(output,), shape=source.shape)

    return translate


def as_floats(builder: TfliteBuilder, source: Int8Codes, name: str = "floats") -> int:
    """The float tensor that codes stand for."""
    output = builder.tensor(name, stored_shape(source.shape), "FLOAT32")
    return builder.operator("DEQUANTIZE", (source.tensor,), output)


OPERATION_TABLE: Mapping[Any, Operation] = {
    ATEN.add.Tensor: _pairwise("ADD", "AddOptionsT"),
    ATEN.sub.Tensor: _pairwise("SUB", "SubOptionsT"),
    ATEN.mul.Tensor: _pairwise("MUL", "MulOptionsT"),
    ATEN.cat.default: _cat,
    ATEN.mean.dim: _mean,
    ATEN.adaptive_avg_pool2d.default: _adaptive_mean,
    ATEN.avg_pool2d.default: _mean_pool,
    ATEN.upsample_bilinear2d.vec: _bilinear,
    ATEN.sigmoid.default: _in_floats("LOGISTIC"),
    ATEN.tanh.default: _in_floats("TANH"),
    ATEN.hardswish.default: _in_floats("HARD_SWISH"),
    ATEN.hardswish_.default: _in_floats("HARD_SWISH"),
}
