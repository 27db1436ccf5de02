"""Arithmetic, comparisons, masks and choices in ONNX, with numbers and types as torch has them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import (
    Operation,
    apply,
    cast,
    common_type,
    formula,
    number,
    operands,
    result_type,
)
from evo_qnas.networks.export.onnx.norms import axes_of
from evo_qnas.networks.export.onnx.values import Floats


def _binary(operation: str) -> Operation:
    def translate(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
        dtype = result_type(node)
        first, second = operands(builder, node, arguments, dtype)
        share = arguments[2] if operation in {"Add", "Sub"} and len(arguments) > 2 else 1
        if share != 1:
            second = builder.node("Mul", second, number(builder, share, dtype))
        return Floats(name=builder.node(operation, first, second))

    return translate


def _compared(operation: str, *, opposite: bool = False) -> Operation:
    def translate(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
        names = operands(builder, node, arguments, common_type(node))
        name = builder.node(operation, *names)
        return Floats(name=builder.node("Not", name) if opposite else name)

    return translate


def _logical(operation: str) -> Operation:
    def translate(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
        whole = not result_type(node).is_floating_point and result_type(node) is not torch.bool
        names = operands(builder, node, arguments, result_type(node) if whole else torch.bool)
        return Floats(name=builder.node(f"Bitwise{operation}" if whole else operation, *names))

    return translate


def _not(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    whole = result_type(node) is not torch.bool
    (name,) = operands(builder, node, arguments, result_type(node), (0,))
    return Floats(name=builder.node("BitwiseNot" if whole else "Not", name))


def _where(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    first, second = operands(builder, node, arguments, result_type(node), (1, 2))
    return Floats(name=builder.node("Where", arguments[0], first, second))


def _masked_fill(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    source, filling = operands(builder, node, arguments, result_type(node), (0, 2))
    return Floats(name=builder.node("Where", arguments[1], filling, source))


def _rounded_division(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    dtype = result_type(node)
    first, second = operands(builder, node, arguments, dtype)
    mode = node.kwargs.get("rounding_mode", "floor" if node.target is ATEN.floor_divide.default else None)
    ratio = builder.node("Div", first, second)
    if not dtype.is_floating_point or mode is None:
        return Floats(name=ratio)
    floor = builder.node("Floor", ratio if mode == "floor" else builder.node("Abs", ratio))
    return Floats(name=floor if mode == "floor" else builder.node("Mul", builder.node("Sign", ratio), floor))


def _remainder(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    dtype = result_type(node)
    first, second = operands(builder, node, arguments, dtype)
    if not dtype.is_floating_point:
        return Floats(name=builder.node("Mod", first, second))
    whole = builder.node("Floor", builder.node("Div", first, second))
    return Floats(name=builder.node("Sub", first, builder.node("Mul", whole, second)))


def _addcmul(builder: GraphBuilder, _node: fx.Node, *arguments: Any) -> str:
    source, first, second, share = arguments
    product = builder.node("Mul", first, second)
    return builder.node("Add", source, product if share == 1 else apply(builder, "Mul", product, float(share)))


def _extreme(operation: str) -> Operation:
    def translate(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
        source, axis, keep = arguments
        if axis is None:
            flat = builder.node("Reshape", source, builder.constant([-1], "int64"))
            return Floats(name=builder.node(operation, flat, axis=0, keepdims=0))
        (place,), _ = axes_of(node, [source, [int(axis)], keep])
        return Floats(name=builder.node(operation, source, axis=place, keepdims=int(keep)))

    return translate


def _to(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    return cast(builder, arguments[0], result_type(node))


_ADD, _SUB, _MUL, _DIV = (_binary(name) for name in ("Add", "Sub", "Mul", "Div"))


def _reversed_difference(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    """`other - alpha * source`."""
    dtype, share = result_type(node), arguments[2]
    first, second = operands(builder, node, arguments, dtype)
    first = first if share == 1 else builder.node("Mul", first, number(builder, share, dtype))
    return Floats(name=builder.node("Sub", second, first))


ARITHMETIC: Mapping[Any, Operation] = {
    ATEN.add.Tensor: _ADD,
    ATEN.add.Scalar: _ADD,
    ATEN.sub.Tensor: _SUB,
    ATEN.sub.Scalar: _SUB,
    ATEN.rsub.Scalar: _reversed_difference,
    ATEN.rsub.Tensor: _reversed_difference,
    ATEN.mul.Tensor: _MUL,
    ATEN.mul.Scalar: _MUL,
    ATEN.div.Tensor: _DIV,
    ATEN.div.Scalar: _DIV,
    ATEN.div.Tensor_mode: _rounded_division,
    ATEN.div.Scalar_mode: _rounded_division,
    ATEN.floor_divide.default: _rounded_division,
    ATEN.remainder.Scalar: _remainder,
    ATEN.remainder.Tensor: _remainder,
    ATEN.minimum.default: _binary("Min"),
    ATEN.min.other: _binary("Min"),
    ATEN.maximum.default: _binary("Max"),
    ATEN.max.other: _binary("Max"),
    ATEN.addcmul.default: formula(_addcmul),
    ATEN.where.self: _where,
    ATEN.where.ScalarOther: _where,
    ATEN.where.ScalarSelf: _where,
    ATEN.where.Scalar: _where,
    ATEN.masked_fill.Scalar: _masked_fill,
    ATEN.masked_fill.Tensor: _masked_fill,
    ATEN.logical_not.default: _not,
    ATEN.bitwise_not.default: _not,
    ATEN.argmax.default: _extreme("ArgMax"),
    ATEN.argmin.default: _extreme("ArgMin"),
}
_COMPARISONS = {
    "eq": _compared("Equal"),
    "ne": _compared("Equal", opposite=True),
    "lt": _compared("Less"),
    "le": _compared("LessOrEqual"),
    "gt": _compared("Greater"),
    "ge": _compared("GreaterOrEqual"),
}
COMPARISONS: Mapping[Any, Operation] = {
    **{getattr(ATEN, name).Tensor: translate for name, translate in _COMPARISONS.items()},
    **{getattr(ATEN, name).Scalar: translate for name, translate in _COMPARISONS.items()},
    **dict.fromkeys((ATEN.logical_and.default, ATEN.bitwise_and.Tensor, ATEN.__and__.Tensor), _logical("And")),
    **dict.fromkeys((ATEN.logical_or.default, ATEN.bitwise_or.Tensor, ATEN.__or__.Tensor), _logical("Or")),
}
