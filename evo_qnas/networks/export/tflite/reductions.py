"""Reductions over axes in floats: sums, means, extremes and where they are, variances, norms."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import emit, placed, reshaped
from evo_qnas.networks.export.tflite.numbers import binary, cast, mul, reduced, unary
from evo_qnas.networks.export.tflite.values import Tensor, kind_of

Function = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Any]


def _axes(axes: Any) -> list[int] | None:
    if axes is None:
        return None
    return [int(axis) for axis in axes] if isinstance(axes, (list, tuple)) else [int(axes)]


def _reduction(code: str) -> Function:
    """A reduction over axes, or over all where none is named."""

    def translate(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
        source = placed(builder, cast(builder, arguments[0], kind_of(node.meta["val"].dtype)))
        named = len(arguments) > 1 and isinstance(arguments[1], (int, list, tuple))
        axes, keep = (_axes(arguments[1]), bool(arguments[2])) if named else (None, False)
        return reduced(builder, code, source, axes or None, keep=keep)

    return translate


def extreme_along(code: str, index: str) -> Callable[[TfliteBuilder, Tensor, fx.Node, Sequence[Any]], list[Any]]:
    """The largest or least number along an axis, and where it is if somebody asks."""

    def translate(builder: TfliteBuilder, source: Tensor, node: fx.Node, arguments: Sequence[Any]) -> list[Any]:
        axis, keep = [*arguments[1:], False][:2]
        values = reduced(builder, code, source, [int(axis)], keep=bool(keep))
        asked = any(user.args[1:] == (1,) for user in node.users)
        return [values, _position(builder, index, source, int(axis), keep=bool(keep)) if asked else None]

    return translate


def _position(builder: TfliteBuilder, code: str, source: Tensor, axis: int, *, keep: bool) -> Tensor:
    rank = len(source.shape)
    axis %= rank
    options = (builder.schema.ArgMaxOptionsT if code == "ARG_MAX" else builder.schema.ArgMinOptionsT)(
        outputType=builder.schema.TensorType.INT32
    )
    left = [other for other in range(rank) if other != axis]
    shape = tuple(source.shape[other] for other in left)
    order = tuple(left.index(other) for other in source.order if other != axis)
    inputs = (source.tensor, builder.array(np.int32(source.position(axis))))
    made = emit(builder, code, source, inputs, shape=shape, order=order, options=options, kind="INT32")
    return reshaped(builder, made, (*shape[:axis], 1, *shape[axis:])) if keep else made


def _arg(code: str) -> Function:
    def translate(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
        source, axis, keep = [*arguments, None, False][:3]
        if axis is None:
            source, axis = reshaped(builder, source, (prod(source.shape),)), 0
        return _position(builder, code, source, int(axis), keep=bool(keep))

    return translate


def _variance(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Any:
    """Variance (and deviation, and mean) over axes; less one degree of freedom unless the node says otherwise."""
    source, axes, correction, keep = [*arguments, None, 1, False][:4]
    less = correction if not isinstance(correction, bool) else int(correction)
    less = 1 if less is None else less
    axes = _axes(axes) or list(range(len(source.shape)))
    mean = reduced(builder, "MEAN", source, axes, keep=True)
    squares = unary(builder, "SQUARE", binary(builder, "SUB", source, mean))
    count = prod(source.shape[axis] for axis in axes)
    made = reduced(builder, "MEAN", squares, axes, keep=bool(keep))
    made = made if less == 0 else mul(builder, made, count / (count - float(less)))
    name = str(node.target).split(".")[1]
    if name.startswith("std"):
        return unary(builder, "SQRT", made)
    if name == "var_mean":
        return [made, reduced(builder, "MEAN", source, axes, keep=bool(keep))]
    return made


def _norm(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """The Euclidean norm over axes."""
    source, power, axes, keep = [*arguments, 2, None, False][:4]
    if power not in (1, 2, None):
        raise NetworkError(f"{node.name} is a norm of order {power}: TFLite has sums of magnitudes and squares alone")
    parts = unary(builder, "ABS" if power == 1 else "SQUARE", source)
    made = reduced(builder, "SUM", parts, _axes(axes) or None, keep=bool(keep))
    return made if power == 1 else unary(builder, "SQRT", made)


def _cumsum(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source = placed(builder, cast(builder, arguments[0], kind_of(node.meta["val"].dtype)))
    inputs = (source.tensor, builder.array(np.int32(source.position(int(arguments[1])))))
    return emit(
        builder,
        "CUMSUM",
        source,
        inputs,
        shape=source.shape,
        order=source.order,
        options=builder.schema.CumsumOptionsT(),
    )


REDUCTION_TABLE: Mapping[Any, Function] = {
    ATEN.mean.dim: _reduction("MEAN"),
    ATEN.mean.default: _reduction("MEAN"),
    ATEN.sum.dim_IntList: _reduction("SUM"),
    ATEN.sum.default: _reduction("SUM"),
    ATEN.prod.dim_int: _reduction("REDUCE_PROD"),
    ATEN.any.dim: _reduction("REDUCE_ANY"),
    ATEN.all.dim: _reduction("REDUCE_ALL"),
    ATEN.argmax.default: _arg("ARG_MAX"),
    ATEN.argmin.default: _arg("ARG_MIN"),
    ATEN.var.correction: _variance,
    ATEN.std.correction: _variance,
    ATEN.var.dim: _variance,
    ATEN.std.dim: _variance,
    ATEN.var_mean.correction: _variance,
    ATEN.linalg_vector_norm.default: _norm,
    ATEN.norm.ScalarOpt_dim: _norm,
    ATEN.cumsum.default: _cumsum,
}
