"""Operators on floats, integers and truth values: what translations of operations without an integer kernel use."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import copied, emit, in_order, lifted, permuted, placed, reshaped
from evo_qnas.networks.export.tflite.values import Constant, Shape, Tensor, identity

Operand = Tensor | Constant | float | int | bool
_NUMPY = {"FLOAT32": np.float32, "INT32": np.int32, "BOOL": np.bool_}
# Options of operators that have some by another name than their own.
_OPTIONS = {"MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum"}
# What kernels without XNNPACK multiply at most.
_MATRIX_AXES = 5
_INT32 = np.iinfo(np.int32)


def as_floats(builder: TfliteBuilder, source: Tensor, name: str = "floats") -> Tensor:
    """The float tensor that codes stand for; floats as they are."""
    if source.quantizer is None:
        return source
    known = builder.floats.get(source.tensor)
    if known is not None and name == "floats":
        return Tensor(tensor=known, shape=source.shape, order=source.order, kind="FLOAT32")
    tensor = builder.tensor(name, source.stored, "FLOAT32")
    builder.operator("DEQUANTIZE", (source.tensor,), tensor)
    builder.floats[source.tensor] = tensor
    return Tensor(tensor=tensor, shape=source.shape, order=source.order, kind="FLOAT32")


def constant(values: Any, kind: str = "FLOAT32") -> Constant:
    """Numbers that are no tensor of the network's own."""
    array = np.asarray(values)
    if kind == "INT32" and array.dtype.kind == "i":
        array = np.clip(array, _INT32.min, _INT32.max)
    return Constant(name="", array=np.asarray(array, dtype=_NUMPY[kind]))


def cast(builder: TfliteBuilder, source: Operand, kind: str) -> "Tensor | Constant":
    """The numbers as another kind."""
    if not isinstance(source, (Tensor, Constant)):
        return constant(source, kind)
    if source.kind == kind:
        return source
    if isinstance(source, Constant) and not source.name:
        return constant(source.array, kind)
    tensor = placed(builder, source)
    if kind == "BOOL":
        return binary(builder, "NOT_EQUAL", tensor, constant(0, tensor.kind), kind="BOOL")
    options = builder.schema.CastOptionsT()
    return emit(
        builder, "CAST", tensor, (tensor.tensor,), shape=tensor.shape, order=tensor.order, options=options, kind=kind
    )


def common_kind(*operands: Operand) -> str:
    """The kind in which operands of several kinds meet."""
    kinds = {operand.kind for operand in operands if isinstance(operand, (Tensor, Constant))}
    kinds |= {"FLOAT32" for operand in operands if isinstance(operand, float)}
    kinds |= {"INT32" for operand in operands if isinstance(operand, int) and not isinstance(operand, bool)}
    return next((kind for kind in ("FLOAT32", "INT32") if kind in kinds), "BOOL")


def aligned(builder: TfliteBuilder, source: "Tensor | Constant", rank: int, order: Shape) -> Tensor:
    """An operand as kernels spread it over another one of `rank` axes in an order."""
    if isinstance(source, Constant):
        whole = source.array.reshape((1,) * (rank - source.array.ndim) + source.shape)
        return (
            placed(builder, Constant(name=source.name, array=whole), order)
            if source.array.size > 1
            else (placed(builder, source))
        )
    shape, own = lifted(source, rank)
    wanted = tuple(shape[axis] for axis in order)
    if tuple(shape[axis] for axis in own) == wanted and _same_values(shape, own, order):
        return source
    return in_order(builder, reshaped(builder, source, shape), order)


def _same_values(shape: Shape, one: Shape, other: Shape) -> bool:
    return [axis for axis in one if shape[axis] != 1] == [axis for axis in other if shape[axis] != 1]


def spread(*shapes: Shape) -> Shape:
    """The shape of what several shapes make together."""
    return tuple(int(size) for size in np.broadcast_shapes(*shapes))


def _met(builder: TfliteBuilder, operands: Sequence["Tensor | Constant"]) -> tuple[list[Tensor], Shape, Shape]:
    """Operands as kernels take them, and shape and order of what they make."""
    shape = spread(*(operand.shape for operand in operands))
    lead = max(operands, key=lambda one: (isinstance(one, Tensor) and prod(one.shape) > 1, prod(one.shape)))
    _, order = lifted(placed(builder, lead), len(shape)) if isinstance(lead, Tensor) else ((), identity(len(shape)))
    return [aligned(builder, operand, len(shape), order) for operand in operands], shape, order


def binary(builder: TfliteBuilder, code: str, one: Operand, other: Operand, *, kind: str | None = None) -> Tensor:
    """An operator of two operands of one kind, each spread over the other.

    Args:
        builder: of the file.
        code: of the operator.
        one: tensor or number.
        other: tensor or number.
        kind: of the result, where it is not that of the operands.
    """
    common = common_kind(one, other)
    (first, second), shape, order = _met(builder, [cast(builder, operand, common) for operand in (one, other)])
    name = _OPTIONS.get(code) or "".join(part.capitalize() for part in code.split("_"))
    options = getattr(builder.schema, f"{name}OptionsT", None)
    made = None if options is None else options()
    inputs = (first.tensor, second.tensor)
    source = first if kind is None else Tensor(tensor=-1, shape=(), order=(), kind=kind)
    return emit(builder, code, source, inputs, shape=shape, order=order, options=made, kind=kind)


def where(builder: TfliteBuilder, mask: Operand, one: Operand, other: Operand) -> Tensor:
    """Values of the first where the mask is true, else of the second."""
    kind = common_kind(one, other)
    operands = [cast(builder, mask, "BOOL"), *(cast(builder, operand, kind) for operand in (one, other))]
    parts, shape, order = _met(builder, operands)
    inputs = [part.tensor for part in parts]
    return emit(
        builder, "SELECT_V2", parts[1], inputs, shape=shape, order=order, options=builder.schema.SelectV2OptionsT()
    )


def unary(builder: TfliteBuilder, code: str, source: "Tensor | Constant", options: Any = None) -> Tensor:
    """An operator of single numbers."""
    tensor = placed(builder, source)
    return emit(builder, code, tensor, (tensor.tensor,), shape=tensor.shape, order=tensor.order, options=options)


def reduced(builder: TfliteBuilder, code: str, source: Tensor, axes: Sequence[int] | None, *, keep: bool) -> Tensor:
    """A reduction over axes, all of them for None."""
    rank = len(source.shape)
    chosen = sorted(axis % rank for axis in axes) if axes else list(range(rank))
    inputs = (source.tensor, builder.numbers(sorted(source.position(axis) for axis in chosen)))
    options = builder.schema.ReducerOptionsT(keepDims=keep)
    shape = tuple(1 if axis in chosen else size for axis, size in enumerate(source.shape))
    order = source.order
    if not keep:
        left = [axis for axis in range(rank) if axis not in chosen]
        shape = tuple(source.shape[axis] for axis in left)
        order = tuple(left.index(axis) for axis in source.order if axis in left)
    return emit(builder, code, source, inputs, shape=shape, order=order, options=options)


def last_in_file(builder: TfliteBuilder, source: Tensor, axis: int) -> Tensor:
    """The tensor with an axis last in the file."""
    axis %= len(source.shape)
    order = (*(other for other in source.order if other != axis), axis)
    return in_order(builder, source, order)


def softmax(builder: TfliteBuilder, source: Tensor, axis: int, *, logarithm: bool = False) -> Tensor:
    """Shares of exponentials along an axis, or their logarithm."""
    source = last_in_file(builder, source, axis)
    if logarithm:
        return unary(builder, "LOG_SOFTMAX", source, builder.schema.LogSoftmaxOptionsT())
    return unary(builder, "SOFTMAX", source, builder.schema.SoftmaxOptionsT(beta=1.0))


def matmul(builder: TfliteBuilder, one: "Tensor | Constant", other: "Tensor | Constant") -> Tensor:
    """The product of matrices in the last two axes, as torch has it."""
    first, second = placed(builder, one), placed(builder, other)
    if len(first.shape) == 1:
        made = matmul(builder, reshaped(builder, first, (1, *first.shape)), second)
        return reshaped(builder, made, (*made.shape[:-2], made.shape[-1]))
    if len(second.shape) == 1:
        made = matmul(builder, first, reshaped(builder, second, (*second.shape, 1)))
        return reshaped(builder, made, made.shape[:-1])
    batch = spread(first.shape[:-2], second.shape[:-2])
    shape = (*batch, first.shape[-2], second.shape[-1])
    if len(shape) > _MATRIX_AXES:
        pair = [copied(builder, part, batch + part.shape[-2:]) for part in (first, second)]
        pair = [reshaped(builder, part, (prod(batch), *part.shape[-2:])) for part in pair]
        return reshaped(builder, matmul(builder, *pair), shape)
    (first, turned), (second, flipped) = (_as_matrix(builder, part) for part in (first, second))
    options = builder.schema.BatchMatMulOptionsT(adjX=turned, adjY=flipped)
    inputs = (first.tensor, second.tensor)
    return emit(builder, "BATCH_MATMUL", first, inputs, shape=shape, order=identity(len(shape)), options=options)


def _as_matrix(builder: TfliteBuilder, source: Tensor) -> tuple[Tensor, bool]:
    """A tensor with its matrices last in the file, and true where they lie there with rows and columns changed."""
    rank = len(source.shape)
    turned = (*range(rank - 2), rank - 1, rank - 2)
    if source.order == turned:
        return source, True
    return in_order(builder, source, identity(rank)), False


def transposed(source: Tensor) -> Tensor:
    """Rows and columns of matrices changed, for torch alone."""
    rank = len(source.shape)
    return permuted(source, (*range(rank - 2), rank - 1, rank - 2))


def add(builder: TfliteBuilder, one: Operand, other: Operand) -> Tensor:
    """The sum."""
    return binary(builder, "ADD", one, other)


def mul(builder: TfliteBuilder, one: Operand, other: Operand) -> Tensor:
    """The product."""
    return binary(builder, "MUL", one, other)


def clamped(builder: TfliteBuilder, source: Operand, low: Operand | None, high: Operand | None) -> Operand:
    """Numbers cut to limits, where there are any."""
    if low is not None and low != -np.inf:
        source = binary(builder, "MAXIMUM", source, low)
    if high is not None and high != np.inf:
        source = binary(builder, "MINIMUM", source, high)
    return source
