"""Functions of values, which runtimes compute in floats between two quantizers."""

from typing import Any

from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role, declare


def _function(name: str, *overloads: Any, **settings: Any) -> Operation:
    return declare(name, Role.FUNCTION, *overloads, **settings)


SIGMOID = _function("sigmoid", ATEN.sigmoid.default)
TANH = _function("tanh", ATEN.tanh.default)
HARDSWISH = _function("hardswish", ATEN.hardswish.default)
HARDSIGMOID = _function("hardsigmoid", ATEN.hardsigmoid.default)
SILU = _function("silu", ATEN.silu.default)
MISH = _function("mish", ATEN.mish.default)
ELU = _function("elu", ATEN.elu.default)
SELU = _function("selu", ATEN.selu.default)
CELU = _function("celu", ATEN.celu.default)
GELU = _function("gelu", ATEN.gelu.default)
LOG_SIGMOID = _function("log_sigmoid", ATEN.log_sigmoid.default)
LEAKY_RELU = _function("leaky_relu", ATEN.leaky_relu.default)
SOFTPLUS = _function("softplus", ATEN.softplus.default)
HARDSHRINK = _function("hardshrink", ATEN.hardshrink.default)
SOFTSHRINK = _function("softshrink", ATEN.softshrink.default)
EXP = _function("exp", ATEN.exp.default, passes=True)
EXPM1 = _function("expm1", ATEN.expm1.default)
LOG = _function("log", ATEN.log.default, float_arguments=(0,))
LOG1P = _function("log1p", ATEN.log1p.default)
LOG2 = _function("log2", ATEN.log2.default)
ABS = _function("abs", ATEN.abs.default, passes=True)
NEG = _function("neg", ATEN.neg.default, passes=True)
RECIPROCAL = _function("reciprocal", ATEN.reciprocal.default, float_arguments=(0,), passes=True)
SIN = _function("sin", ATEN.sin.default)
COS = _function("cos", ATEN.cos.default)
ATAN = _function("atan", ATEN.atan.default)
ERF = _function("erf", ATEN.erf.default)
SIGN = _function("sign", ATEN.sign.default)
FLOOR = _function("floor", ATEN.floor.default)
CEIL = _function("ceil", ATEN.ceil.default)
ROUND = _function("round", ATEN.round.default)
RRELU = _function("rrelu", ATEN.rrelu.default)
PRELU = _function("prelu", ATEN.prelu.default)
GLU = _function("glu", ATEN.glu.default)
# A range of roots or of exponents reaches over orders of magnitude: what leads there stays in floats.
SQRT = _function("sqrt", ATEN.sqrt.default, float_arguments=(0,), passes=True)
RSQRT = _function("rsqrt", ATEN.rsqrt.default, float_arguments=(0,), passes=True)
SQUARE = _function("square", ATEN.square.default, passes=True)
POW = _function(
    "pow", ATEN.pow.Tensor_Scalar, ATEN.pow.Scalar, ATEN.pow.Tensor_Tensor, float_arguments=(0,), passes=True
)
SOFTMAX = _function("softmax", ATEN.softmax.int, ATEN._softmax.default, float_arguments=(0,))
LOG_SOFTMAX = _function("log_softmax", ATEN.log_softmax.int, ATEN._log_softmax.default, float_arguments=(0,))
CUMSUM = _function("cumsum", ATEN.cumsum.default)
TOPK = _function("topk", ATEN.topk.default)
SORT = _function("sort", ATEN.sort.default)
ASIN = _function("asin", ATEN.asin.default)
ACOS = _function("acos", ATEN.acos.default)
SINH = _function("sinh", ATEN.sinh.default)
COSH = _function("cosh", ATEN.cosh.default)
ACOSH = _function("acosh", ATEN.acosh.default)
ATANH = _function("atanh", ATEN.atanh.default)
LOG10 = _function("log10", ATEN.log10.default)
EXP2 = _function("exp2", ATEN.exp2.default)
TRUNC = _function("trunc", ATEN.trunc.default)
GRID_SAMPLER = _function("grid_sampler", ATEN.grid_sampler.default, ATEN.grid_sampler_2d.default)
COL2IM = _function("col2im", ATEN.col2im.default)
