"""Operations between a DequantizeLinear and a QuantizeLinear; ONNX Runtime fuses those that have integer kernels."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.onnx.arithmetic import ARITHMETIC, COMPARISONS
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.creation import CREATION
from evo_qnas.networks.export.onnx.expressions import Operation, cast, result_type, type_of
from evo_qnas.networks.export.onnx.functions import FUNCTIONS
from evo_qnas.networks.export.onnx.norms import NORMS
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
