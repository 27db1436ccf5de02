"""Small words in which translations of operations to ONNX are written."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.values import Floats

# Tensor arguments arrive as names of tensors, those of codes as floats, everything else as it stands in the graph.
Operation = Callable[[GraphBuilder, fx.Node, Sequence[Any]], Any]
# The name of the input (of codes where it has them), the node, and its other arguments as above.
LayoutOperation = Callable[[GraphBuilder, str, fx.Node, Sequence[Any]], Any]

_TYPES = {
    torch.float32: "FLOAT",
    torch.float64: "DOUBLE",
    torch.int64: "INT64",
    torch.int32: "INT32",
    torch.uint8: "UINT8",
    torch.bool: "BOOL",
}
_NUMPY = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.int64: "int64",
    torch.int32: "int32",
    torch.uint8: "uint8",
    torch.bool: "bool",
}


def apply(builder: GraphBuilder, operation: str, *inputs: Any, **attributes: Any) -> str:
    """The name of an operation's result; numbers become float32 constants."""
    return builder.node(operation, *(number(builder, value) for value in inputs), **attributes)


def number(builder: GraphBuilder, value: Any, dtype: torch.dtype = torch.float32) -> str:
    """The name of a tensor: `value` itself, or a constant of it, or a size that depends on the batch."""
    if not isinstance(value, fx.Node):
        return value if isinstance(value, str) else builder.constant(value, _NUMPY[dtype])
    size = value.meta["val"]
    if isinstance(size, (int, float)):
        return builder.constant(size, _NUMPY[dtype])
    name = builder.node("Squeeze", shape_tensor(builder, [value], batch=True))
    return name if dtype is torch.int64 else cast(builder, name, dtype)


def integers(builder: GraphBuilder, values: Any) -> str:
    """The name of an int64 constant."""
    return builder.constant(values, "int64")


def cast(builder: GraphBuilder, name: str, dtype: torch.dtype) -> str:
    """The name of a tensor of another type.

    Raises:
        NetworkError: ONNX Runtime has no such type.
    """
    from onnx import TensorProto

    if dtype not in _TYPES:
        raise NetworkError(f"{dtype} has no ONNX type here: use float32, int64 or bool")
    return builder.node("Cast", name, to=TensorProto.DataType.Value(_TYPES[dtype]))


def type_of(argument: Any) -> torch.dtype | None:
    """The type of a tensor that a node gives, None for anything else."""
    value = argument.meta.get("val") if isinstance(argument, fx.Node) else None
    return value.dtype if isinstance(value, torch.Tensor) else None


def operands(
    builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any], dtype: torch.dtype, places: Sequence[int] = (0, 1)
) -> list[str]:
    """Names of some arguments of a node as tensors of one type."""
    names = []
    for place in places:
        given = node.args[place] if place < len(node.args) else None
        own = type_of(given)
        name = number(builder, arguments[place], dtype)
        names.append(cast(builder, name, dtype) if own is not None and own is not dtype else name)
    return names


def common_type(node: fx.Node) -> torch.dtype:
    """The type to which torch brings the first two arguments of a node."""
    values: list[Any] = [
        argument.meta["val"] if isinstance(argument, fx.Node) else argument for argument in node.args[:2]
    ]
    return torch.result_type(*values)


def unary(operation: str, **attributes: Any) -> Operation:
    """A function of one tensor that ONNX has."""

    def translate(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
        return Floats(name=builder.node(operation, arguments[0], **attributes))

    return translate


def formula(function: Callable[..., str]) -> Operation:
    """A translation that gives the name of its result, from (builder, node, *arguments)."""

    def translate(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
        return Floats(name=function(builder, node, *arguments))

    return translate


def result_type(node: fx.Node) -> torch.dtype:
    """The type of the tensor that a node gives."""
    dtype: torch.dtype = node.meta["val"].dtype
    return dtype


def shape_tensor(builder: GraphBuilder, sizes: Sequence[Any], *, batch: bool = False) -> str:
    """The name of a shape: a constant where at most one size is that of the batch, which -1 stands for.

    Args:
        builder: of the graph.
        sizes: numbers, sizes of torch that depend on the batch, or nodes that give them.
        batch: the size of the batch in numbers, as operations need it that know no -1.
    """
    values = [size.meta["val"] if isinstance(size, fx.Node) else size for size in sizes]
    free = [value for value in values if not isinstance(value, int)]
    if not free or (len(free) == 1 and not batch):
        return integers(builder, [value if isinstance(value, int) else -1 for value in values])
    return builder.node("Concat", *(_size(builder, value) for value in values), axis=0)


def _size(builder: GraphBuilder, value: Any) -> str:
    """One size as a tensor of one value."""
    if isinstance(value, int):
        return integers(builder, [value])
    factor, rest = value.node.expr.as_coeff_Mul()
    if not rest.is_Symbol:
        raise NetworkError(f"the size {value} depends on the batch in a way that has no ONNX translation here")
    first = builder.signature["input"][0][0]
    size = builder.node("Shape", first, start=0, end=1)
    return size if factor == 1 else builder.node("Mul", size, integers(builder, [int(factor)]))


def reshaped(builder: GraphBuilder, name: str, sizes: Sequence[Any]) -> str:
    """The name of a tensor in another shape, -1 or torch's own size for the batch."""
    return builder.node("Reshape", name, shape_tensor(builder, sizes))
