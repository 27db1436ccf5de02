"""Normalizations, softmax, products of matrices and attention: in floats."""

from collections.abc import Callable, Mapping, Sequence
from math import prod, sqrt
from typing import Any

import numpy as np
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import placed, reshaped
from evo_qnas.networks.export.tflite.numbers import (
    add,
    binary,
    cast,
    constant,
    matmul,
    mul,
    reduced,
    softmax,
    transposed,
    unary,
    where,
)
from evo_qnas.networks.export.tflite.values import Constant, Tensor

Function = Callable[[TfliteBuilder, fx.Node, Sequence[Any]], Any]
Parameter = Tensor | Constant | None


def normalized(builder: TfliteBuilder, source: Tensor, axes: Sequence[int], eps: float | int) -> Tensor:
    """Values minus their mean over axes, over their deviation."""
    centred = binary(builder, "SUB", source, reduced(builder, "MEAN", source, axes, keep=True))
    return _over_deviation(builder, centred, axes, eps)


def _over_deviation(builder: TfliteBuilder, source: Tensor, axes: Sequence[int], eps: float | int) -> Tensor:
    squares = reduced(builder, "MEAN", unary(builder, "SQUARE", source), axes, keep=True)
    return mul(builder, source, unary(builder, "RSQRT", add(builder, squares, float(eps))))


def _affine(builder: TfliteBuilder, source: Tensor, weight: Parameter, bias: Parameter) -> Tensor:
    made = source if weight is None else mul(builder, source, weight)
    return made if bias is None else add(builder, made, bias)


def _of_channels(builder: TfliteBuilder, values: Parameter, rank: int) -> Parameter:
    """Numbers of channels, the second axis, as they spread over tensors of `rank` axes."""
    return None if values is None else _spread(builder, values, rank)


def _spread(builder: TfliteBuilder, values: "Tensor | Constant", rank: int) -> "Tensor | Constant":
    shape = (prod(values.shape),) + (1,) * (rank - 2)
    if isinstance(values, Constant):
        return Constant(name=values.name, array=values.array.reshape(shape))
    return reshaped(builder, values, shape)


def _layer_norm(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source, shape, weight, bias, eps = arguments[:5]
    return _affine(builder, normalized(builder, source, range(-len(shape), 0), eps), weight, bias)


def _native_layer_norm(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> list[Any]:
    return [_layer_norm(builder, node, arguments), None, None]


def _rms_norm(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source, shape, weight, eps = [*arguments, None, None][:4]
    eps = float(np.finfo(np.float32).eps) if eps is None else eps
    return _affine(builder, _over_deviation(builder, source, range(-len(shape), 0), eps), weight, None)


def _group_norm(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source, groups, weight, bias, eps = arguments[:5]
    return _in_groups(builder, source, int(groups), (weight, bias), eps)


def _in_groups(
    builder: TfliteBuilder, source: Tensor, groups: int, affine: tuple[Parameter, Parameter], eps: float | int
) -> Tensor:
    shape, rank = source.shape, len(source.shape)
    split = reshaped(builder, source, (shape[0], groups, shape[1] // groups, *shape[2:]))
    made = reshaped(builder, normalized(builder, split, range(2, rank + 1), eps), shape)
    return _affine(builder, made, *(_of_channels(builder, part, rank) for part in affine))


def _native_group_norm(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> list[Any]:
    source, weight, bias, _n, _c, _size, groups, eps = arguments
    return [_in_groups(builder, source, int(groups), (weight, bias), eps), None, None]


def _instance_norm(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source, weight, bias, mean, variance, of_inputs, _momentum, eps = arguments[:8]
    if not of_inputs:
        return _batch_norm(builder, node, [source, weight, bias, mean, variance, False, 0.0, eps])
    rank = len(source.shape)
    made = normalized(builder, source, range(2, rank), eps)
    return _affine(builder, made, _of_channels(builder, weight, rank), _of_channels(builder, bias, rank))


def _batch_norm(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source, weight, bias, mean, variance, training, _momentum, eps = arguments[:8]
    if training or mean is None or variance is None:
        raise NetworkError(f"{node.name} takes means over the batch: a file has one image; put it in evaluation mode")
    rank = len(source.shape)
    weight, bias = (_of_channels(builder, part, rank) for part in (weight, bias))
    mean, variance = (_spread(builder, part, rank) for part in (mean, variance))
    centred = binary(builder, "SUB", source, mean)
    factor = unary(builder, "RSQRT", add(builder, variance, float(eps)))
    return _affine(builder, mul(builder, centred, factor), weight, bias)


def _native_batch_norm(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> list[Any]:
    source, weight, bias, mean, variance, _momentum, eps = arguments[:7]
    return [_batch_norm(builder, node, [source, weight, bias, mean, variance, False, 0.0, eps]), None, None]


def _softmax(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    logarithm = "log_softmax" in str(node.target)
    source = placed(builder, cast(builder, arguments[0], "FLOAT32"))
    return softmax(builder, source, int(arguments[1]), logarithm=logarithm)


def _matmul(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    return matmul(builder, arguments[0], arguments[1])


def _baddbmm(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    start, one, other, beta, alpha = [*arguments, 1, 1][:5]
    product = matmul(builder, one, other)
    product = product if alpha == 1 else mul(builder, product, float(alpha))
    return product if beta == 0 else add(builder, product, start if beta == 1 else mul(builder, start, float(beta)))


def _linear(builder: TfliteBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    source, weight, bias = [*arguments, None][:3]
    made = matmul(builder, source, transposed(placed(builder, weight)))
    return made if bias is None else add(builder, made, bias)


def _attention(builder: TfliteBuilder, node: fx.Node, arguments: Sequence[Any]) -> Tensor:
    """Scaled dot-product attention: softmax of `query key^T / sqrt(size)` plus a mask, times values."""
    query, key, value, mask, _dropout, causal, scale, groups = [*arguments, None, 0.0, False, None, False][:8]
    if groups and query.shape[-3] != key.shape[-3]:
        raise NetworkError(f"{node.name} shares keys among several heads: repeat them before")
    factor = 1.0 / sqrt(query.shape[-1]) if scale is None else float(scale)
    scores = matmul(builder, mul(builder, query, factor), transposed(key))
    if causal:
        mask = constant(np.tril(np.ones(scores.shape[-2:])), "BOOL")
    if mask is not None:
        allowed = mask.kind == "BOOL"
        scores = where(builder, mask, scores, -1e9) if allowed else add(builder, scores, mask)
    return matmul(builder, softmax(builder, scores, -1), value)


NORMALIZATION_TABLE: Mapping[Any, Function] = {
    ATEN.layer_norm.default: _layer_norm,
    ATEN.native_layer_norm.default: _native_layer_norm,
    ATEN.rms_norm.default: _rms_norm,
    ATEN.group_norm.default: _group_norm,
    ATEN.native_group_norm.default: _native_group_norm,
    ATEN.instance_norm.default: _instance_norm,
    ATEN.batch_norm.default: _batch_norm,
    ATEN._native_batch_norm_legit_no_training.default: _native_batch_norm,
    ATEN.softmax.int: _softmax,
    ATEN._softmax.default: _softmax,
    ATEN.log_softmax.int: _softmax,
    ATEN._log_softmax.default: _softmax,
    ATEN.matmul.default: _matmul,
    ATEN.bmm.default: _matmul,
    ATEN.mm.default: _matmul,
    ATEN.mv.default: _matmul,
    ATEN.addmm.default: _baddbmm,
    ATEN.baddbmm.default: _baddbmm,
    ATEN.linear.default: _linear,
    ATEN.scaled_dot_product_attention.default: _attention,
}
