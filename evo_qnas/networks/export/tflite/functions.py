"""Functions of single numbers in floats: activations, elementary functions, arithmetic, comparisons, masks."""

from collections.abc import Callable, Mapping, Sequence
from math import log, prod, sqrt
from typing import Any

import numpy as np
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import concatenated, copied, gathered, placed, reshaped, sliced
from evo_qnas.networks.export.tflite.numbers import (
    Operand,
    add,
    binary,
    cast,
    clamped,
    constant,
    mul,
    unary,
    where,
)
from evo_qnas.networks.export.tflite.values import Constant, Tensor, kind_of, shape_of

Function = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Any]


def _of(make: Callable[..., Any], count: int = 1) -> Function:
    """A function of the first arguments alone."""
    return lambda builder, _node, arguments: make(builder, *arguments[:count])


def _unary(code: str) -> Function:
    return _of(lambda builder, source: unary(builder, code, cast(builder, source, "FLOAT32")))


def _softplus(builder: TfliteBuilder, source: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """`log(1 + exp(beta x)) / beta` without large exponents: torch's threshold is beyond what float32 tells apart."""
    scaled = source if beta == 1 else mul(builder, source, float(beta))
    small = unary(builder, "EXP", unary(builder, "NEG", unary(builder, "ABS", scaled)))
    made = add(builder, unary(builder, "RELU", scaled), unary(builder, "LOG", add(builder, small, 1.0)))
    return made if beta == 1 else mul(builder, made, 1.0 / beta)


def _silu(builder: TfliteBuilder, source: Tensor) -> Tensor:
    return mul(builder, source, unary(builder, "LOGISTIC", source))


def _mish(builder: TfliteBuilder, source: Tensor) -> Tensor:
    return mul(builder, source, unary(builder, "TANH", _softplus(builder, source)))


def _gelu(builder: TfliteBuilder, source: Tensor, form: str = "none") -> Tensor:
    return unary(builder, "GELU", source, builder.schema.GeluOptionsT(approximate=form == "tanh"))


def _leaky(builder: TfliteBuilder, source: Tensor, slope: float = 0.01) -> Tensor:
    return unary(builder, "LEAKY_RELU", source, builder.schema.LeakyReluOptionsT(alpha=float(slope)))


def _prelu(builder: TfliteBuilder, source: Tensor, slopes: "Tensor | Constant") -> Tensor:
    """A slope for each channel, the second axis; kernels want it for each value of the last one."""
    if isinstance(slopes, Constant) and slopes.array.ndim == 1 and slopes.array.size > 1:
        shape = (-1,) + (1,) * (len(source.shape) - 2)
        slopes = Constant(name=slopes.name, array=slopes.array.reshape(shape))
    negative = mul(builder, binary(builder, "MINIMUM", source, 0.0), slopes)
    return add(builder, unary(builder, "RELU", source), negative)


def _elu(builder: TfliteBuilder, source: Tensor, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0) -> Tensor:
    if (alpha, scale, inner) == (1, 1, 1):
        return unary(builder, "ELU", source)
    low = binary(builder, "MINIMUM", source, 0.0)
    bent = add(builder, unary(builder, "EXP", low if inner == 1 else mul(builder, low, float(inner))), -1.0)
    made = add(builder, unary(builder, "RELU", source), mul(builder, bent, float(alpha)))
    return made if scale == 1 else mul(builder, made, float(scale))


def _selu(builder: TfliteBuilder, source: Tensor) -> Tensor:
    return _elu(builder, source, 1.6732632423543772, 1.0507009873554805)


def _celu(builder: TfliteBuilder, source: Tensor, alpha: float = 1.0) -> Tensor:
    return _elu(builder, source, alpha, 1.0, 1.0 / alpha)


def _hardsigmoid(builder: TfliteBuilder, source: Tensor) -> Tensor:
    return mul(builder, unary(builder, "RELU6", add(builder, source, 3.0)), 1.0 / 6.0)


def _log_sigmoid(builder: TfliteBuilder, source: Tensor) -> Tensor:
    return unary(builder, "NEG", _softplus(builder, unary(builder, "NEG", source)))


def _erf(builder: TfliteBuilder, source: Tensor) -> Tensor:
    """From the exact GELU, which is the only kernel that knows it: `erf(x) = gelu(sqrt(2) x) * sqrt(2) / x - 1`."""
    wide = mul(builder, source, sqrt(2.0))
    # Near zero the quotient is 0 / 0; there erf(x) is 2 / sqrt(pi) x to seven digits.
    small = binary(builder, "LESS", unary(builder, "ABS", source), 1e-4, kind="BOOL")
    quotient = binary(builder, "DIV", _gelu(builder, wide), where(builder, small, 1.0, source))
    away = add(builder, mul(builder, quotient, sqrt(2.0)), -1.0)
    return where(builder, small, mul(builder, source, 1.1283791670955126), away)


def _threshold(builder: TfliteBuilder, source: Tensor, least: float, value: float) -> Tensor:
    return where(builder, binary(builder, "GREATER", source, float(least), kind="BOOL"), source, float(value))


def _clamp(builder: TfliteBuilder, source: Tensor, low: Operand | None = None, high: Operand | None = None) -> Any:
    limits = (
        float(limit) if isinstance(limit, (int, float)) and source.kind == "FLOAT32" else limit for limit in (low, high)
    )
    return clamped(builder, source, *limits)


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
        return _arithmetic("FLOOR_DIV")(builder, node, arguments)
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
    return _of(lambda builder, one, other: binary(builder, code, one, other, kind="BOOL"), 2)


def _logical(code: str) -> Function:
    return _of(
        lambda builder, one, other: binary(builder, code, cast(builder, one, "BOOL"), cast(builder, other, "BOOL")), 2
    )


def _not(builder: TfliteBuilder, source: Operand) -> Tensor:
    return unary(builder, "LOGICAL_NOT", cast(builder, source, "BOOL"))


def _masked_fill(builder: TfliteBuilder, source: Tensor, mask: Operand, value: Operand) -> Tensor:
    return where(builder, mask, cast(builder, value, source.kind), source)


def _glu(builder: TfliteBuilder, source: Tensor, axis: int = -1) -> Tensor:
    size = source.shape[axis % len(source.shape)]
    halves = (sliced(builder, source, axis, first, first + size // 2) for first in (0, size // 2))
    one, other = halves
    return mul(builder, one, unary(builder, "LOGISTIC", other))


def _addcmul(builder: TfliteBuilder, source: Tensor, one: Operand, other: Operand, value: float = 1.0) -> Tensor:
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


def _table(*rows: tuple[str, Function]) -> dict[Any, Function]:
    """Rows for every overload of names that this torch has."""
    table = {}
    for names, function in rows:
        for name in names.split():
            packet, _, overload = name.partition(".")
            table[getattr(getattr(ATEN, packet), overload or "default")] = function
    return table


_ELEMENTARY = {
    "relu": "RELU",
    "relu6": "RELU6",
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "hardswish": "HARD_SWISH",
    "exp": "EXP",
    "log": "LOG",
    "sqrt": "SQRT",
    "rsqrt": "RSQRT",
    "sin": "SIN",
    "cos": "COS",
    "abs": "ABS",
    "neg": "NEG",
    "square": "SQUARE",
    "floor": "FLOOR",
    "ceil": "CEIL",
    "round": "ROUND",
    "sign": "SIGN",
}
_COMPARED = {"eq": "EQUAL", "ne": "NOT_EQUAL", "lt": "LESS", "le": "LESS_EQUAL", "gt": "GREATER", "ge": "GREATER_EQUAL"}

FUNCTION_TABLE: Mapping[Any, Function] = {
    **_table(*((name, _unary(code)) for name, code in _ELEMENTARY.items())),
    **_table(*((f"{name}.Tensor {name}.Scalar", _comparison(code)) for name, code in _COMPARED.items())),
    **_table(
        ("softplus", _of(_softplus, 3)),
        ("silu", _of(_silu)),
        ("mish", _of(_mish)),
        ("gelu", _of(_gelu, 2)),
        ("leaky_relu", _of(_leaky, 2)),
        ("prelu _prelu_kernel", _of(_prelu, 2)),
        ("elu", _of(_elu, 4)),
        ("selu", _of(_selu)),
        ("celu", _of(_celu, 2)),
        ("hardsigmoid", _of(_hardsigmoid)),
        ("log_sigmoid", _of(_log_sigmoid)),
        ("erf", _of(_erf)),
        ("threshold", _of(_threshold, 3)),
        ("hardtanh clamp clamp.Tensor clip", _of(_clamp, 3)),
        ("clamp_min clamp_min.Tensor", _of(_clamp, 2)),
        ("clamp_max clamp_max.Tensor", _of(lambda b, x, high: _clamp(b, x, None, high), 2)),
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
        ("reciprocal", _of(lambda b, x: binary(b, "DIV", 1.0, x))),
        ("logical_and bitwise_and.Tensor __and__.Tensor", _logical("LOGICAL_AND")),
        ("logical_or bitwise_or.Tensor __or__.Tensor", _logical("LOGICAL_OR")),
        ("logical_not bitwise_not", _of(_not)),
        ("masked_fill.Scalar masked_fill.Tensor", _of(_masked_fill, 3)),
        ("where.self where.ScalarSelf where.ScalarOther where.Scalar", _of(where, 3)),
        ("glu", _of(_glu, 2)),
        ("copy", _copy),
        ("slice_scatter", _slice_scatter),
        ("cat", _cat),
        ("embedding", _embedding),
        ("stack", _stack),
        ("log2", _of(lambda b, x: mul(b, unary(b, "LOG", x), 1.0 / log(2.0)))),
        ("atan", _of(_atan)),
        ("addcmul", _of(_addcmul, 3)),
        ("zeros_like ones_like full_like new_zeros new_ones new_full new_empty empty_like", _full_like),
        ("log1p", _of(lambda b, x: unary(b, "LOG", add(b, x, 1.0)))),
        ("expm1", _of(lambda b, x: add(b, unary(b, "EXP", x), -1.0))),
    ),
}
