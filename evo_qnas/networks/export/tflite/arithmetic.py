"""Arithmetic, comparisons, masks and joined tensors, in floats, integers or truth values."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import concatenated, copied, gathered, placed, reshaped, sliced
from evo_qnas.networks.export.tflite.numbers import (
    Operand,
    add,
    binary,
    cast,
    constant,
    mul,
    unary,
    where,
)
from evo_qnas.networks.export.tflite.rows import Function, of, table_of
from evo_qnas.networks.export.tflite.values import Constant, Tensor, kind_of, shape_of


def _as_result(builder: TfliteBuilder, node: fx.Node, *operands: Operand) -> list[Any]:
    """Operands as the kind of the node's result."""
    return [cast(builder, operand, kind_of(node.meta["val"].dtype)) for operand in operands]


def _arithmetic(code: str, *, scaled: bool = False, turned: bool = False) -> Function:
    """Two operands of the result's kind; of a sum, the second one times `alpha`; of a `turned` one, exchanged."""

    def translate(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
        one, other = _as_result(builder, node, *arguments[:2])
        alpha = arguments[2] if scaled and len(arguments) > 2 else 1
        if turned:
            one, other = other, one
        if alpha != 1:
            other = mul(builder, other, float(alpha) if other.kind == "FLOAT32" else alpha)
        return binary(builder, code, one, other)

    return translate


def _div(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    mode = arguments[2] if len(arguments) > 2 else None
    if mode == "floor":
        floored: Tensor = _arithmetic("FLOOR_DIV")(builder, node, arguments)
        return floored
    one, other = (cast(builder, operand, "FLOAT32") for operand in arguments[:2])
    made = binary(builder, "DIV", one, other)
    return (
        made
        if mode is None
        else placed(builder, cast(builder, cast(builder, made, "INT32"), kind_of(node.meta["val"].dtype)))
    )


def _pow(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Whole and half powers by simple operators, which take negative numbers as torch does."""
    base, power = arguments[:2]
    if isinstance(power, (int, float)) and isinstance(base, Tensor) and base.kind == "FLOAT32":
        if power == 2:
            return unary(builder, "SQUARE", base)
        if power == 3:
            return mul(builder, unary(builder, "SQUARE", base), base)
        if power == 0.5:
            return unary(builder, "SQRT", base)
        if power == -0.5:
            return unary(builder, "RSQRT", base)
        if power == -1:
            return binary(builder, "DIV", 1.0, base)
        power = float(power)
    if isinstance(base, (int, float)):
        base = float(base)
    return binary(builder, "POW", base, power)


def _comparison(code: str) -> Function:
    return of(lambda builder, one, other: binary(builder, code, one, other, kind="BOOL"), 2)


def _logical(code: str) -> Function:
    return of(
        lambda builder, one, other: binary(builder, code, cast(builder, one, "BOOL"), cast(builder, other, "BOOL")), 2
    )


def _not(builder: TfliteBuilder, source: Operand) -> Tensor:
    return unary(builder, "LOGICAL_NOT", cast(builder, source, "BOOL"))


def _masked_fill(builder: TfliteBuilder, source: Tensor, mask: Operand, value: Operand) -> Tensor:
    return where(builder, mask, cast(builder, value, source.kind), source)


def _addcmul(builder: TfliteBuilder, source: Tensor, one: Operand, other: Operand, value: float | int = 1.0) -> Tensor:
    product = mul(builder, one, other)
    return add(builder, source, product if value == 1 else mul(builder, product, float(value)))


def _full_like(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Constant:
    name = str(node.target).split(".")[1]
    value: Any = 1 if "ones" in name else 0
    if "full" in name:
        value = arguments[2] if name == "new_full" else arguments[1]
    return constant(np.full(shape_of(node), value), kind_of(node.meta["val"].dtype))


def _atan(builder: TfliteBuilder, source: Tensor) -> Tensor:
    """The kernel wants a second operand of the same shape."""
    return binary(builder, "ATAN2", source, constant(np.ones(source.shape)))


def _embedding(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Rows of a table by their numbers."""
    table, positions = placed(builder, arguments[0]), placed(builder, arguments[1])
    flat = reshaped(builder, positions, (prod(positions.shape),))
    return reshaped(builder, gathered(builder, table, 0, flat), shape_of(node))


def _copy(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Numbers in the shape of the tensor that they were written into."""
    source = cast(builder, arguments[1], kind_of(node.meta["val"].dtype))
    return copied(builder, placed(builder, source), shape_of(node))


def _slice_scatter(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """A tensor with a part along an axis replaced."""
    source = placed(builder, arguments[0])
    part, axis, start, end, step = [*arguments[1:], 0, None, None, 1][:5] if len(arguments) < 6 else arguments[1:6]
    axis = int(axis) % len(source.shape)
    first, last, stride = slice(start, end, int(step)).indices(source.shape[axis])
    if stride != 1:
        raise NetworkError(f"{node.name} replaces a part with gaps, which TFLite does not know: replace whole parts")
    parts = [cast(builder, part, source.kind)]
    if first > 0:
        parts.insert(0, sliced(builder, source, axis, 0, first))
    if last < source.shape[axis]:
        parts.append(sliced(builder, source, axis, last, source.shape[axis]))
    return concatenated(builder, parts, axis)


def _cat(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    parts, axis = [*arguments, 0][:2]
    kind = kind_of(node.meta["val"].dtype)
    return concatenated(builder, [cast(builder, part, kind) for part in parts if part.shape != (0,)], int(axis))


def _stack(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    parts, axis = [*arguments, 0][:2]
    axis = int(axis) % (len(parts[0].shape) + 1)
    kind = kind_of(node.meta["val"].dtype)
    lifted = [
        reshaped(builder, cast(builder, part, kind), (*part.shape[:axis], 1, *part.shape[axis:])) for part in parts
    ]
    return concatenated(builder, lifted, axis)


_COMPARED = {"eq": "EQUAL", "ne": "NOT_EQUAL", "lt": "LESS", "le": "LESS_EQUAL", "gt": "GREATER", "ge": "GREATER_EQUAL"}


ARITHMETIC_TABLE: Mapping[Any, Function] = {
    **table_of(*((f"{name}.Tensor {name}.Scalar", _comparison(code)) for name, code in _COMPARED.items())),
    **table_of(
        ("add.Tensor add.Scalar", _arithmetic("ADD", scaled=True)),
        ("sub.Tensor sub.Scalar", _arithmetic("SUB", scaled=True)),
        ("rsub.Scalar rsub.Tensor", _arithmetic("SUB", scaled=True, turned=True)),
        ("mul.Tensor mul.Scalar", _arithmetic("MUL")),
        ("div.Tensor div.Scalar div.Tensor_mode div.Scalar_mode true_divide.Tensor", _div),
        ("floor_divide", _arithmetic("FLOOR_DIV")),
        ("remainder.Tensor remainder.Scalar", _arithmetic("FLOOR_MOD")),
        ("maximum max.other", _arithmetic("MAXIMUM")),
        ("minimum min.other", _arithmetic("MINIMUM")),
        ("pow.Tensor_Scalar pow.Tensor_Tensor pow.Scalar", _pow),
        ("logical_and bitwise_and.Tensor __and__.Tensor", _logical("LOGICAL_AND")),
        ("logical_or bitwise_or.Tensor __or__.Tensor", _logical("LOGICAL_OR")),
        ("logical_not bitwise_not", of(_not)),
        ("masked_fill.Scalar masked_fill.Tensor", of(_masked_fill, 3)),
        ("where.self where.ScalarSelf where.ScalarOther where.Scalar", of(where, 3)),
        ("copy", _copy),
        ("slice_scatter", _slice_scatter),
        ("cat", _cat),
        ("embedding", _embedding),
        ("stack", _stack),
        ("atan", of(_atan)),
        ("addcmul", of(_addcmul, 3)),
        ("zeros_like ones_like full_like new_zeros new_ones new_full new_empty empty_like", _full_like),
    ),
}
