"""Normalizations in ONNX, in floats."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.export.common.arguments import mean_axes, static_shape
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import (
    Operation,
    apply,
    formula,
    integers,
    operands,
    reshaped,
    result_type,
)
from evo_qnas.networks.export.onnx.values import Floats


def _filled(builder: GraphBuilder, name: Any, shape: Sequence[int], value: float) -> str:
    """A parameter, or a constant where there is none."""
    return name if isinstance(name, str) else builder.constant(np.full(tuple(shape), value), "float32")


def _layer_norm(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    source, shape, weight, bias, epsilon = arguments[:5]
    sizes = [int(size) for size in shape]
    inputs = [source, _filled(builder, weight, sizes, 1.0), *([bias] if bias is not None else [])]
    return builder.node("LayerNormalization", *inputs, axis=-len(sizes), epsilon=float(epsilon))


def _rms_norm(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    source, shape, weight, epsilon = arguments[:4]
    least = torch.finfo(torch.float32).eps if epsilon is None else float(epsilon)
    axes = integers(builder, list(range(-len(shape), 0)))
    squares = builder.node("ReduceMean", builder.node("Mul", source, source), axes, keepdims=1)
    result = builder.node("Div", source, builder.node("Sqrt", apply(builder, "Add", squares, least)))
    return result if weight is None else builder.node("Mul", result, weight)


def _group_norm(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    source, groups, weight, bias, epsilon = arguments[:5]
    shape = static_shape(node)
    parts = builder.node("Reshape", source, integers(builder, [0, int(groups), -1]))
    ends = [builder.constant(np.full(int(groups), value), "float32") for value in (1.0, 0.0)]
    normal = builder.node("InstanceNormalization", parts, *ends, epsilon=float(epsilon))
    result = reshaped(builder, normal, node.meta["val"].shape)
    for operation, name in (("Mul", weight), ("Add", bias)):
        if name is not None:
            channels = builder.node("Reshape", name, integers(builder, [shape[1], *[1] * (len(shape) - 2)]))
            result = builder.node(operation, result, channels)
    return result


def _instance_norm(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    source, weight, bias, mean, variance, own, _momentum, epsilon = arguments[:8]
    channels = [static_shape(node)[1]]
    ends = [_filled(builder, weight, channels, 1.0), _filled(builder, bias, channels, 0.0)]
    if own:
        return builder.node("InstanceNormalization", source, *ends, epsilon=float(epsilon))
    return builder.node("BatchNormalization", source, *ends, mean, variance, epsilon=float(epsilon))


def _batch_norm(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    channels = [static_shape(node)[1]]
    ends = [_filled(builder, arguments[1], channels, 1.0), _filled(builder, arguments[2], channels, 0.0)]
    return builder.node("BatchNormalization", arguments[0], *ends, *arguments[3:5], epsilon=float(arguments[7]))


def reduction(operation: str) -> Operation:
    """A reduction (source, axes, keep axes) that ONNX has."""

    def translate(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
        axes, keep = axes_of(node, arguments)
        (source,) = operands(builder, node, arguments, result_type(node), (0,))
        return Floats(name=builder.node(operation, source, integers(builder, axes), keepdims=int(keep)))

    return translate


def axes_of(node: fx.Node, arguments: Sequence[Any]) -> tuple[list[int], bool]:
    """The axes of a reduction, none negative, and whether they stay."""
    axes = arguments[1] if len(arguments) > 2 else None
    chosen = [axes] if isinstance(axes, int) else axes
    keep = bool(arguments[2]) if len(arguments) > 2 else False
    return mean_axes(chosen or None, len(source_of(node).meta["val"].shape)), keep


def _deviations(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> tuple[str, str]:
    """Variance and mean."""
    source, dims, correction, keep = arguments
    axes, _ = axes_of(node, [source, dims, keep])
    shape = static_shape(source_of(node))
    count = prod(shape[axis] for axis in axes)
    if any(shape[axis] < 0 for axis in axes):
        raise NetworkError(f"{node.name} is a variance over the batch: keep it outside the network")
    places = integers(builder, axes)
    mean = builder.node("ReduceMean", source, places, keepdims=1)
    apart = builder.node("Sub", source, mean)
    total = builder.node("ReduceSum", builder.node("Mul", apart, apart), places, keepdims=int(keep))
    share = count - (1 if correction is None else int(correction))
    mean = mean if keep else builder.node("Squeeze", mean, places)
    return apply(builder, "Div", total, float(share)), mean


def _variance(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=_deviations(builder, node, arguments)[0])


def _deviation(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=builder.node("Sqrt", _deviations(builder, node, arguments)[0]))


def _both(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> list[Floats]:
    return [Floats(name=name) for name in _deviations(builder, node, arguments)]


def _vector_norm(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    source, order, *rest = arguments
    axes, keep = axes_of(node, [source, *(rest[:2] if len(rest) > 1 else (None, False))])
    order = 2.0 if order is None else float(order)
    places = integers(builder, axes)
    simple = {1.0: "ReduceL1", 2.0: "ReduceL2"}
    if order in simple:
        return Floats(name=builder.node(simple[order], source, places, keepdims=int(keep)))
    size = builder.node("Abs", source)
    if abs(order) == float("inf"):
        operation = "ReduceMax" if order > 0 else "ReduceMin"
        return Floats(name=builder.node(operation, size, places, keepdims=int(keep)))
    total = builder.node("ReduceSum", apply(builder, "Pow", size, order), places, keepdims=int(keep))
    return Floats(name=apply(builder, "Pow", total, 1.0 / order))


NORMS: Mapping[Any, Operation] = {
    ATEN.layer_norm.default: formula(_layer_norm),
    ATEN.rms_norm.default: formula(_rms_norm),
    ATEN.group_norm.default: formula(_group_norm),
    ATEN.instance_norm.default: formula(_instance_norm),
    ATEN.batch_norm.default: formula(_batch_norm),
    ATEN.sum.dim_IntList: reduction("ReduceSum"),
    ATEN.sum.default: reduction("ReduceSum"),
    ATEN.logsumexp.default: reduction("ReduceLogSumExp"),
    ATEN.prod.dim_int: reduction("ReduceProd"),
    ATEN.var.dim: _variance,
    ATEN.var.correction: _variance,
    ATEN.std.dim: _deviation,
    ATEN.std.correction: _deviation,
    ATEN.var_mean.dim: _both,
    ATEN.var_mean.correction: _both,
    ATEN.linalg_vector_norm.default: _vector_norm,
    ATEN.norm.ScalarOpt_dim: _vector_norm,
    ATEN.norm.Scalar: _vector_norm,
}
