"""Operations between a DequantizeLinear and a QuantizeLinear; ONNX Runtime fuses those that have integer kernels."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.onnx.arithmetic import ARITHMETIC, COMPARISONS
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.creation import CREATION
from evo_qnas.networks.export.onnx.expressions import Operation, cast, operands, result_type, shape_tensor, type_of
from evo_qnas.networks.export.onnx.functions import FUNCTIONS
from evo_qnas.networks.export.onnx.norms import NORMS
from evo_qnas.networks.export.onnx.parts import sliced
from evo_qnas.networks.export.onnx.pooling import POOLING
from evo_qnas.networks.export.onnx.products import PRODUCTS
from evo_qnas.networks.export.onnx.values import Floats


def _cat(builder: GraphBuilder, _node: fx.Node, arguments: Sequence[Any]) -> Floats:
    return Floats(name=builder.node("Concat", *arguments[0], axis=int(arguments[1])))


def _stack(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    axis = int(arguments[1]) % len(node.meta["val"].shape)
    place = builder.constant([axis], "int64")
    parts = [builder.node("Unsqueeze", part, place) for part in arguments[0]]
    return Floats(name=builder.node("Concat", *parts, axis=axis))


def _put(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    """A tensor with a piece along one axis replaced."""
    source, piece, axis, *place = arguments
    if node.target is ATEN.select_scatter.default:
        piece, place = builder.node("Unsqueeze", piece, builder.constant([int(axis)], "int64")), [place[0], None, 1]
    start, end, step = place
    size = node.meta["val"].shape[axis]
    if not isinstance(size, int) or step != 1:
        raise NetworkError(f"{node.name} writes into the batch or into every {step}th place: it has no translation")
    first = min(max(int(start or 0) + (size if (start or 0) < 0 else 0), 0), size)
    width = 1 if node.target is ATEN.select_scatter.default else None
    last = first + width if width else size if end is None else min(int(end) + (size if end < 0 else 0), size)
    parts = [sliced(builder, source, int(axis), start=0, end=first)] if first else []
    parts.append(piece)
    parts += [sliced(builder, source, int(axis), start=last, end=size)] if last < size else []
    return Floats(name=parts[0] if len(parts) == 1 else builder.node("Concat", *parts, axis=int(axis)))


def _copy(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    """The second tensor, in the shape and type of the first."""
    (name,) = operands(builder, node, arguments, result_type(node), (1,))
    return Floats(name=builder.node("Expand", name, shape_tensor(builder, node.meta["val"].shape, batch=True)))


def _to(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    """Codes arrive as floats."""
    own = type_of(node.args[0])
    same = own is result_type(node)
    return Floats(name=arguments[0] if same else cast(builder, arguments[0], result_type(node)))


FLOAT_TABLE: Mapping[Any, Operation] = {
    **ARITHMETIC,
    **COMPARISONS,
    **CREATION,
    **FUNCTIONS,
    **NORMS,
    **POOLING,
    **PRODUCTS,
    ATEN.cat.default: _cat,
    ATEN.concat.default: _cat,
    ATEN.stack.default: _stack,
    ATEN.slice_scatter.default: _put,
    ATEN.select_scatter.default: _put,
    ATEN.copy.default: _copy,
}
# Types are changed in floats, though an operation of that kind moves values alone.
CASTS: Mapping[Any, Operation] = dict.fromkeys(
    (
        ATEN.to.dtype,
        ATEN.to.dtype_layout,
        ATEN.to.device,
        ATEN.to.other,
        ATEN._to_copy.default,
        ATEN.type_as.default,
    ),
    _to,
)
