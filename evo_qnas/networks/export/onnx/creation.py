"""Tensors that depend on the size of the batch alone, in ONNX."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import Operation, cast, integers, number, result_type, shape_tensor
from evo_qnas.networks.export.onnx.values import Floats

_ZEROS = {ATEN.zeros.default, ATEN.new_zeros.default, ATEN.zeros_like.default}
# Where those stand that say with what a tensor is filled.
_FILLINGS: Mapping[Any, int] = {ATEN.full.default: 1, ATEN.new_full.default: 2, ATEN.full_like.default: 1}


def _full(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    place = _FILLINGS.get(node.target)
    value = arguments[place] if place is not None else float(node.target not in _ZEROS)
    filling = number(builder, value, result_type(node))
    shape = shape_tensor(builder, node.meta["val"].shape, batch=True)
    return Floats(name=builder.node("Expand", filling, shape))


def _arange(builder: GraphBuilder, node: fx.Node, _arguments: Sequence[Any]) -> Floats:
    given = [argument for argument in node.args if argument is not None]
    start, end, step = {1: [0, *given, 1], 2: [*given, 1]}.get(len(given), given)
    ends = [_whole(builder, value) for value in (start, end, step)]
    name = builder.node("Range", *ends)
    dtype = result_type(node)
    return Floats(name=name if str(dtype) == "torch.int64" else cast(builder, name, dtype))


def _whole(builder: GraphBuilder, value: Any) -> str:
    """A number, or a size that depends on the batch, as a tensor without axes."""
    if isinstance(value, int):
        return integers(builder, value)
    return builder.node("Squeeze", shape_tensor(builder, [value], batch=True))


CREATION: Mapping[Any, Operation] = {
    **dict.fromkeys(
        (
            *_ZEROS,
            *_FILLINGS,
            ATEN.ones.default,
            ATEN.new_ones.default,
            ATEN.ones_like.default,
        ),
        _full,
    ),
    ATEN.arange.default: _arange,
    ATEN.arange.start: _arange,
    ATEN.arange.start_step: _arange,
}
