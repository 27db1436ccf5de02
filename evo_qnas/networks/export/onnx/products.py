"""Products of two tensors in ONNX: of two activations, and layers whose weights are computed or stay in floats."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.common.arguments import convolution_arguments, each_axis, static_shape
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import Operation, apply, formula, integers, type_of
from evo_qnas.networks.export.onnx.values import Floats


def _matmul(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    return builder.node("MatMul", arguments[0], arguments[1])


def _added(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    """`beta * added + alpha * first @ second`."""
    added, first, second, beta, alpha = arguments
    product = builder.node("MatMul", first, second)
    if alpha != 1:
        product = apply(builder, "Mul", product, float(alpha))
    if beta == 0:
        return product
    return builder.node("Add", product, added if beta == 1 else apply(builder, "Mul", added, float(beta)))


def _einsum(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    return builder.node("Einsum", *arguments[1], equation=str(arguments[0]).replace(" ", ""))


def _repeated(builder: GraphBuilder, name: str, shape: Sequence[int], heads: int) -> str:
    """Keys or values of few heads for each of many."""
    if shape[-3] == heads:
        return name
    groups = heads // shape[-3]
    wide = builder.node("Unsqueeze", name, integers(builder, [-3]))
    spread = builder.node("Expand", wide, integers(builder, [*[1] * (len(shape) - 2), groups, 1, 1]))
    return builder.node("Reshape", spread, integers(builder, [0, heads, *shape[-2:]]))


def _attention(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    query, key, values, mask, _dropout, causal, scale, _grouped = arguments
    shapes = [static_shape(argument) for argument in node.args[:3] if isinstance(argument, fx.Node)]
    rank, heads = len(shapes[0]), shapes[0][-3] if len(shapes[0]) > 3 else 0
    if heads:
        key, values = (
            _repeated(builder, name, shape, heads) for name, shape in zip((key, values), shapes[1:], strict=True)
        )
    factor = 1.0 / sqrt(shapes[0][-1]) if scale is None else float(scale)
    order = [*range(rank - 2), rank - 1, rank - 2]
    turned = builder.node("Transpose", key, perm=order)
    scores = builder.node("MatMul", apply(builder, "Mul", query, factor), turned)
    length, width = shapes[0][-2], shapes[1][-2]
    if causal:
        lower = builder.constant(np.tril(np.ones((length, width), bool)), "bool")
        scores = builder.node("Where", lower, scores, builder.constant(-np.inf, "float32"))
    if mask is not None:
        kind = type_of(node.args[3]) if len(node.args) > 3 else type_of(node.kwargs["attn_mask"])
        if kind is not None and not kind.is_floating_point:
            scores = builder.node("Where", mask, scores, builder.constant(-np.inf, "float32"))
        else:
            scores = builder.node("Add", scores, mask)
    return builder.node("MatMul", builder.node("Softmax", scores, axis=-1), values)


def _linear(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    source, weight, bias = arguments
    product = builder.node("MatMul", source, builder.node("Transpose", weight, perm=[1, 0]))
    return product if bias is None else builder.node("Add", product, bias)


def _convolution(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    weight: Any = node.args[1]
    sizes = static_shape(weight)
    if any(size < 0 for size in sizes):
        raise NetworkError(f"the weights of {node.name} depend on the batch: they have no ONNX translation here")
    strides, pads, dilations, groups = convolution_arguments(sizes, arguments[3:])
    inputs = [name for name in arguments[:3] if name is not None]
    name = builder.node("Conv", *inputs, strides=strides, pads=pads, dilations=dilations, group=groups)
    return Floats(name=name)


def _transposed(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    """A transposed convolution, whose weights torch and ONNX have in one order."""
    inputs = [name for name in arguments[:3] if name is not None]
    return conv_transpose(builder, inputs, arguments[3:], axes=len(static_shape(node)) - 2)


def conv_transpose(builder: GraphBuilder, inputs: Sequence[str], given: Sequence[Any], *, axes: int) -> Floats:
    """ConvTranspose of input, weights and bias, with the arguments of torch's operation behind these."""
    settings: list[Any] = [*given, *(1, 0, 0, 1, 1)[len(given) :]]
    stride, padding, output_padding, groups, dilation = settings
    strides, pads, extra, dilations = (each_axis(one, axes) for one in (stride, padding, output_padding, dilation))
    name = builder.node(
        "ConvTranspose",
        *inputs,
        strides=strides,
        pads=pads * 2,
        output_padding=extra,
        dilations=dilations,
        group=int(groups),
    )
    return Floats(name=name)


PRODUCTS: Mapping[Any, Operation] = {
    ATEN.matmul.default: formula(_matmul),
    ATEN.bmm.default: formula(_matmul),
    ATEN.mm.default: formula(_matmul),
    ATEN.baddbmm.default: formula(_added),
    ATEN.addmm.default: formula(_added),
    ATEN.einsum.default: formula(_einsum),
    ATEN.scaled_dot_product_attention.default: formula(_attention),
    ATEN.linear.default: formula(_linear),
    ATEN.conv1d.default: _convolution,
    ATEN.conv2d.default: _convolution,
    ATEN.conv2d.padding: _convolution,
    ATEN.conv1d.padding: _convolution,
    ATEN.conv3d.default: _convolution,
    ATEN.conv3d.padding: _convolution,
    ATEN.conv_transpose1d.default: _transposed,
    ATEN.conv_transpose2d.input: _transposed,
}
