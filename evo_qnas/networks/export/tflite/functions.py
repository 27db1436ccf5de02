"""Functions of single numbers in floats: activations and elementary functions."""

from collections.abc import Mapping
from math import log, sqrt
from typing import Any

from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import sliced
from evo_qnas.networks.export.tflite.numbers import (
    Operand,
    add,
    binary,
    cast,
    clamped,
    mul,
    unary,
    where,
)
from evo_qnas.networks.export.tflite.rows import Function, of, table_of
from evo_qnas.networks.export.tflite.values import Constant, Tensor


def _unary(code: str) -> Function:
    return of(lambda builder, source: unary(builder, code, cast(builder, source, "FLOAT32")))


def _softplus(builder: TfliteBuilder, source: Tensor, beta: float | int = 1.0, threshold: float | int = 20.0) -> Tensor:
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


def _leaky(builder: TfliteBuilder, source: Tensor, slope: float | int = 0.01) -> Tensor:
    return unary(builder, "LEAKY_RELU", source, builder.schema.LeakyReluOptionsT(alpha=float(slope)))


def _prelu(builder: TfliteBuilder, source: Tensor, slopes: "Tensor | Constant") -> Tensor:
    """A slope for each channel, the second axis; kernels want it for each value of the last one."""
    if isinstance(slopes, Constant) and slopes.array.ndim == 1 and slopes.array.size > 1:
        shape = (-1,) + (1,) * (len(source.shape) - 2)
        slopes = Constant(name=slopes.name, array=slopes.array.reshape(shape))
    negative = mul(builder, binary(builder, "MINIMUM", source, 0.0), slopes)
    return add(builder, unary(builder, "RELU", source), negative)


def _elu(
    builder: TfliteBuilder, source: Tensor, alpha: float | int = 1.0, scale: float | int = 1.0, inner: float | int = 1.0
) -> Tensor:
    if (alpha, scale, inner) == (1, 1, 1):
        return unary(builder, "ELU", source)
    low = binary(builder, "MINIMUM", source, 0.0)
    bent = add(builder, unary(builder, "EXP", low if inner == 1 else mul(builder, low, float(inner))), -1.0)
    made = add(builder, unary(builder, "RELU", source), mul(builder, bent, float(alpha)))
    return made if scale == 1 else mul(builder, made, float(scale))


def _selu(builder: TfliteBuilder, source: Tensor) -> Tensor:
    return _elu(builder, source, 1.6732632423543772, 1.0507009873554805)


def _celu(builder: TfliteBuilder, source: Tensor, alpha: float | int = 1.0) -> Tensor:
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


def _threshold(builder: TfliteBuilder, source: Tensor, least: float | int, value: float | int) -> Tensor:
    return where(builder, binary(builder, "GREATER", source, float(least), kind="BOOL"), source, float(value))


def _clamp(builder: TfliteBuilder, source: Tensor, low: Operand | None = None, high: Operand | None = None) -> Any:
    limits = (
        float(limit) if isinstance(limit, (int, float)) and source.kind == "FLOAT32" else limit for limit in (low, high)
    )
    return clamped(builder, source, *limits)


def _glu(builder: TfliteBuilder, source: Tensor, axis: int = -1) -> Tensor:
    size = source.shape[axis % len(source.shape)]
    halves = (sliced(builder, source, axis, first, first + size // 2) for first in (0, size // 2))
    one, other = halves
    return mul(builder, one, unary(builder, "LOGISTIC", other))


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


FUNCTION_TABLE: Mapping[Any, Function] = {
    **table_of(*((name, _unary(code)) for name, code in _ELEMENTARY.items())),
    **table_of(
        ("softplus", of(_softplus, 3)),
        ("silu", of(_silu)),
        ("mish", of(_mish)),
        ("gelu", of(_gelu, 2)),
        ("leaky_relu", of(_leaky, 2)),
        ("prelu _prelu_kernel", of(_prelu, 2)),
        ("elu", of(_elu, 4)),
        ("selu", of(_selu)),
        ("celu", of(_celu, 2)),
        ("hardsigmoid", of(_hardsigmoid)),
        ("log_sigmoid", of(_log_sigmoid)),
        ("erf", of(_erf)),
        ("threshold", of(_threshold, 3)),
        ("hardtanh clamp clamp.Tensor clip", of(_clamp, 3)),
        ("clamp_min clamp_min.Tensor", of(_clamp, 2)),
        ("clamp_max clamp_max.Tensor", of(lambda b, x, high: _clamp(b, x, None, high), 2)),
        ("reciprocal", of(lambda b, x: binary(b, "DIV", 1.0, x))),
        ("glu", of(_glu, 2)),
        ("log2", of(lambda b, x: mul(b, unary(b, "LOG", x), 1.0 / log(2.0)))),
        ("log1p", of(lambda b, x: unary(b, "LOG", add(b, x, 1.0)))),
        ("expm1", of(lambda b, x: add(b, unary(b, "EXP", x), -1.0))),
    ),
}
