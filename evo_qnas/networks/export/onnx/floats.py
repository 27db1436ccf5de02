"""Operations between a DequantizeLinear and a QuantizeLinear; ONNX Runtime fuses those that have integer kernels."""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.export.common.arguments import adaptive_kernel, mean_axes, pair, static_shape
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.layout import resize
from evo_qnas.networks.export.onnx.values import Floats

# Tensor arguments arrive as names of float tensors, everything else as it stands in the graph.
Operation = Callable[[GraphBuilder, fx.Node, Sequence[Any]], Floats]


def number(builder: GraphBuilder, value: Any) -> str:
    """The name of a float tensor: `value` itself, or a constant of it."""
    return value if isinstance(value, str) else builder.constant(float(value), "float32")


def _unary(operation: str, **attributes: Any) -> Operation:
    def translate(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
        return Floats(name=builder.node(operation, arguments[0], **attributes))

    return translate


def _binary(operation: str) -> Operation:
    def translate(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
        first, second, *rest = arguments
        second = number(builder, second)
        if operation in {"Add", "Sub"} and rest and rest[0] != 1:
            second = builder.node("Mul", second, number(builder, rest[0]))
        return Floats(name=builder.node(operation, number(builder, first), second))

    return translate


def _cat(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=builder.node("Concat", *arguments[0], axis=int(arguments[1])))


def _silu(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=builder.node("Mul", arguments[0], builder.node("Sigmoid", arguments[0])))


def _gelu(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    if arguments[1] != "none":
        raise NetworkError(f"{node.name} is an approximated GELU, which has no translation: use the exact one")
    scaled = builder.node("Mul", arguments[0], number(builder, 1.0 / sqrt(2.0)))
    shifted = builder.node("Add", builder.node("Erf", scaled), number(builder, 1.0))
    return Floats(name=builder.node("Mul", builder.node("Mul", arguments[0], shifted), number(builder, 0.5)))


def _softmax(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=builder.node("Softmax", arguments[0], axis=int(arguments[1])))


def _clamp(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
    limits = ["" if limit is None else number(builder, limit) for limit in arguments[1:3]]
    return Floats(name=builder.node("Clip", arguments[0], *limits))


def _mean(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    source, axes, keep = arguments[:3]
    rank = len(source_of(node).meta["val"].shape)
    chosen = mean_axes(axes, rank)
    if chosen == list(range(2, rank)):
        # The integer kernel keeps the axes, so the codes lose them afterwards.
        return Floats(name=builder.node("GlobalAveragePool", source), shape=None if keep else static_shape(node))
    return Floats(name=builder.node("ReduceMean", source, builder.constant(chosen, "int64"), keepdims=int(keep)))


def _adaptive_mean(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    result = static_shape(node)[2:]
    if result == (1, 1):
        return Floats(name=builder.node("GlobalAveragePool", arguments[0]))
    kernel = adaptive_kernel(node, static_shape(source_of(node))[2:], result)
    return Floats(name=builder.node("AveragePool", arguments[0], kernel_shape=kernel, strides=kernel))


def _mean_pool(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    source, kernel, stride, padding, ceil, count_padding, divisor = arguments
    if divisor is not None:
        raise NetworkError(f"{node.name} divides by {divisor}, ONNX by the number of values: leave it out")
    name = builder.node(
        "AveragePool",
        source,
        kernel_shape=pair(kernel),
        strides=pair(stride or kernel),
        pads=pair(padding) * 2,
        ceil_mode=int(ceil),
        count_include_pad=int(count_padding),
    )
    return Floats(name=name)


def _bilinear(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    coordinates = "align_corners" if arguments[2] else "half_pixel"
    return Floats(name=resize(builder, arguments[0], node, mode="linear", coordinates=coordinates))


def _batch_norm(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=builder.node("BatchNormalization", *arguments[:5], epsilon=float(arguments[7])))


def _leaky(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=builder.node("LeakyRelu", arguments[0], alpha=float(arguments[1])))


FLOAT_TABLE: Mapping[Any, Operation] = {
    ATEN.add.Tensor: _binary("Add"),
    ATEN.sub.Tensor: _binary("Sub"),
    ATEN.mul.Tensor: _binary("Mul"),
    ATEN.div.Tensor: _binary("Div"),
    ATEN.cat.default: _cat,
    ATEN.sigmoid.default: _unary("Sigmoid"),
    ATEN.tanh.default: _unary("Tanh"),
    ATEN.hardswish.default: _unary("HardSwish"),
    ATEN.hardswish_.default: _unary("HardSwish"),
    ATEN.hardsigmoid.default: _unary("HardSigmoid", alpha=1.0 / 6.0, beta=0.5),
    ATEN.leaky_relu.default: _leaky,
    ATEN.silu.default: _silu,
    ATEN.silu_.default: _silu,
    ATEN.gelu.default: _gelu,
    ATEN.softmax.int: _softmax,
    ATEN.clamp.default: _clamp,
    ATEN.mean.dim: _mean,
    ATEN.adaptive_avg_pool2d.default: _adaptive_mean,
    ATEN.avg_pool2d.default: _mean_pool,
    ATEN.upsample_bilinear2d.vec: _bilinear,
    ATEN.batch_norm.default: _batch_norm,
}
