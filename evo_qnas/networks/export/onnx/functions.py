"""Functions of each value in ONNX, in floats."""

from collections.abc import Mapping, Sequence
from math import log, pi, sqrt
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.common.arguments import static_shape
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import Operation, apply, formula, integers, operands, result_type, unary
from evo_qnas.networks.export.onnx.values import Floats


def _silu(builder: GraphBuilder, _node: fx.Node, source: str) -> str:
    return builder.node("Mul", source, builder.node("Sigmoid", source))


def _mish(builder: GraphBuilder, _node: fx.Node, source: str) -> str:
    return builder.node("Mul", source, builder.node("Tanh", builder.node("Softplus", source)))


def _gelu(builder: GraphBuilder, _node: fx.Node, source: str, approximation: str) -> str:
    if approximation == "tanh":
        cube = builder.node("Mul", builder.node("Mul", source, source), source)
        inner = builder.node("Add", source, apply(builder, "Mul", cube, 0.044715))
        bent = builder.node("Tanh", apply(builder, "Mul", inner, sqrt(2.0 / pi)))
    else:
        bent = builder.node("Erf", apply(builder, "Mul", source, 1.0 / sqrt(2.0)))
    shifted = apply(builder, "Add", bent, 1.0)
    return apply(builder, "Mul", builder.node("Mul", source, shifted), 0.5)


def _elu(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    source, alpha, scale, steepness = arguments
    if steepness == 1:
        result = builder.node("Elu", source, alpha=float(alpha))
    else:
        inner = apply(builder, "Mul", apply(builder, "Min", source, 0.0), float(steepness))
        low = apply(builder, "Mul", apply(builder, "Sub", builder.node("Exp", inner), 1.0), float(alpha))
        result = builder.node("Add", apply(builder, "Max", source, 0.0), low)
    return result if scale == 1 else apply(builder, "Mul", result, float(scale))


def _softplus(builder: GraphBuilder, _node: fx.Node, source: str, beta: Any, _threshold: Any) -> str:
    if beta == 1:
        return builder.node("Softplus", source)
    scaled = builder.node("Softplus", apply(builder, "Mul", source, float(beta)))
    return apply(builder, "Div", scaled, float(beta))


def _log_sigmoid(builder: GraphBuilder, _node: fx.Node, source: str) -> str:
    return builder.node("Neg", builder.node("Softplus", builder.node("Neg", source)))


def _prelu(builder: GraphBuilder, node: fx.Node, source: str, slope: str) -> str:
    shape, slopes = static_shape(node), node.args[1]
    count = static_shape(slopes)[0] if isinstance(slopes, fx.Node) and static_shape(slopes) else 1
    if count > 1 and len(shape) > 2:
        slope = builder.node("Reshape", slope, integers(builder, [count, *[1] * (len(shape) - 2)]))
    return builder.node("PRelu", source, slope)


def _glu(builder: GraphBuilder, node: fx.Node, source: str, axis: Any) -> str:
    size = static_shape(node)[int(axis)]
    first, second = builder.several("Split", source, integers(builder, [size, size]), outputs=2, axis=int(axis))
    return builder.node("Mul", first, builder.node("Sigmoid", second))


def _pow(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    dtype = result_type(node)
    if arguments[1] == 2 and isinstance(arguments[0], str):
        (source,) = operands(builder, node, arguments, dtype, (0,))
        return builder.node("Mul", source, source)
    return builder.node("Pow", *operands(builder, node, arguments, dtype))


def _trunc(builder: GraphBuilder, _node: fx.Node, source: str) -> str:
    size = builder.node("Floor", builder.node("Abs", source))
    return builder.node("Mul", builder.node("Sign", source), size)


def _sampled(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    source, grid, mode, padding, corners = arguments
    return builder.node(
        "GridSample",
        source,
        grid,
        mode=("bilinear", "nearest", "bicubic")[int(mode)],
        padding_mode=("zeros", "border", "reflection")[int(padding)],
        align_corners=int(corners),
    )


def _folded(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    source, size, kernel, dilation, padding, stride = arguments
    places = [integers(builder, [int(value) for value in values]) for values in (size, kernel)]
    return builder.node(
        "Col2Im",
        source,
        *places,
        dilations=[int(value) for value in dilation],
        pads=[int(value) for value in padding] * 2,
        strides=[int(value) for value in stride],
    )


def _cumsum(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    (source,) = operands(builder, node, arguments, result_type(node), (0,))
    return Floats(name=builder.node("CumSum", source, builder.constant(int(arguments[1]), "int64")))


def _scaled(operation: str, factor: float) -> Operation:
    """A function of ONNX times a number."""
    return formula(lambda builder, _node, source: apply(builder, "Mul", builder.node(operation, source), factor))


def _largest(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> list[Floats]:
    source, count, axis, largest = arguments[:4]
    names = builder.several(
        "TopK", source, integers(builder, [int(count)]), outputs=2, axis=int(axis), largest=int(largest)
    )
    return [Floats(name=name) for name in names]


def _sort(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> list[Floats]:
    axis, descending = int(arguments[1]), bool(arguments[2])
    values: Any = node.meta["val"]
    return _largest(builder, node, [arguments[0], values[0].shape[axis], axis, descending])


FUNCTIONS: Mapping[Any, Operation] = {
    ATEN.sigmoid.default: unary("Sigmoid"),
    ATEN.tanh.default: unary("Tanh"),
    ATEN.hardswish.default: unary("HardSwish"),
    ATEN.hardsigmoid.default: unary("HardSigmoid", alpha=1.0 / 6.0, beta=0.5),
    ATEN.leaky_relu.default: formula(
        lambda builder, _node, source, slope: builder.node("LeakyRelu", source, alpha=float(slope))
    ),
    ATEN.rrelu.default: formula(
        lambda builder, _node, source, low, high, *_: builder.node(
            "LeakyRelu", source, alpha=(float(low) + float(high)) / 2.0
        )
    ),
    ATEN.prelu.default: formula(_prelu),
    ATEN.silu.default: formula(_silu),
    ATEN.mish.default: formula(_mish),
    ATEN.elu.default: formula(_elu),
    ATEN.selu.default: unary("Selu"),
    ATEN.celu.default: formula(lambda builder, _node, source, alpha: builder.node("Celu", source, alpha=float(alpha))),
    ATEN.gelu.default: formula(lambda builder, node, source, *rest: _gelu(builder, node, source, (*rest, "none")[0])),
    ATEN.log_sigmoid.default: formula(_log_sigmoid),
    ATEN.softplus.default: formula(_softplus),
    ATEN.hardshrink.default: formula(
        lambda builder, _node, source, limit: builder.node("Shrink", source, lambd=float(limit))
    ),
    ATEN.softshrink.default: formula(
        lambda builder, _node, source, limit: builder.node("Shrink", source, lambd=float(limit), bias=float(limit))
    ),
    ATEN.glu.default: formula(_glu),
    ATEN.softmax.int: formula(lambda builder, _node, source, axis, *_: builder.node("Softmax", source, axis=int(axis))),
    ATEN._softmax.default: formula(
        lambda builder, _node, source, axis, *_: builder.node("Softmax", source, axis=int(axis))
    ),
    ATEN.log_softmax.int: formula(
        lambda builder, _node, source, axis, *_: builder.node("LogSoftmax", source, axis=int(axis))
    ),
    ATEN._log_softmax.default: formula(
        lambda builder, _node, source, axis, *_: builder.node("LogSoftmax", source, axis=int(axis))
    ),
    ATEN.exp.default: unary("Exp"),
    ATEN.expm1.default: formula(lambda builder, _node, source: apply(builder, "Sub", builder.node("Exp", source), 1.0)),
    ATEN.log.default: unary("Log"),
    ATEN.log1p.default: formula(lambda builder, _node, source: builder.node("Log", apply(builder, "Add", source, 1.0))),
    ATEN.log2.default: _scaled("Log", 1.0 / log(2.0)),
    ATEN.sqrt.default: unary("Sqrt"),
    ATEN.rsqrt.default: formula(
        lambda builder, _node, source: builder.node("Reciprocal", builder.node("Sqrt", source))
    ),
    ATEN.square.default: formula(lambda builder, _node, source: builder.node("Mul", source, source)),
    ATEN.pow.Tensor_Scalar: formula(_pow),
    ATEN.pow.Scalar: formula(_pow),
    ATEN.pow.Tensor_Tensor: formula(_pow),
    ATEN.abs.default: unary("Abs"),
    ATEN.neg.default: unary("Neg"),
    ATEN.reciprocal.default: unary("Reciprocal"),
    ATEN.sin.default: unary("Sin"),
    ATEN.cos.default: unary("Cos"),
    ATEN.atan.default: unary("Atan"),
    ATEN.erf.default: unary("Erf"),
    ATEN.sign.default: unary("Sign"),
    ATEN.floor.default: unary("Floor"),
    ATEN.ceil.default: unary("Ceil"),
    ATEN.round.default: unary("Round"),
    ATEN.cumsum.default: _cumsum,
    ATEN.asin.default: unary("Asin"),
    ATEN.acos.default: unary("Acos"),
    ATEN.sinh.default: unary("Sinh"),
    ATEN.cosh.default: unary("Cosh"),
    ATEN.acosh.default: unary("Acosh"),
    ATEN.atanh.default: unary("Atanh"),
    ATEN.log10.default: _scaled("Log", 1.0 / log(10.0)),
    ATEN.exp2.default: formula(lambda builder, _node, source: apply(builder, "Pow", 2.0, source)),
    ATEN.trunc.default: formula(_trunc),
    ATEN.grid_sampler.default: formula(_sampled),
    ATEN.grid_sampler_2d.default: formula(_sampled),
    ATEN.col2im.default: formula(_folded),
    ATEN.topk.default: _largest,
    ATEN.sort.default: _sort,
}
