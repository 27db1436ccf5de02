"""Layout operations: they move values, or choose among them, so that their output needs no range of its own."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Pending
from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role


def _layout(name: str, *overloads: Any, copies: bool = True) -> Operation:
    return Operation(name=name, role=Role.LAYOUT, overloads=overloads, copies=copies)


def _size(_node: fx.Node, arguments: Sequence[Any]) -> Any:
    source, axis = arguments
    values = source.integers if isinstance(source, Centred) else source
    return int((values.floats if isinstance(values, Pending) else values).shape[axis])


FLATTEN = _layout("flatten", ATEN.flatten.using_ints, copies=False)
VIEW = _layout("view", ATEN.view.default, copies=False)
RESHAPE = _layout("reshape", ATEN.reshape.default, copies=False)
SQUEEZE = _layout("squeeze", ATEN.squeeze.dim, ATEN.squeeze.dims, copies=False)
UNSQUEEZE = _layout("unsqueeze", ATEN.unsqueeze.default, copies=False)
PERMUTE = _layout("permute", ATEN.permute.default)
TRANSPOSE = _layout("transpose", ATEN.transpose.int)
SLICE = _layout("slice", ATEN.slice.Tensor)
SELECT = _layout("select", ATEN.select.int)
EXPAND = _layout("expand", ATEN.expand.default)
DROPOUT = Operation(
    name="dropout",
    role=Role.LAYOUT,
    overloads=(ATEN.dropout.default, ATEN.dropout_.default),
    plain={ATEN.dropout_.default: ATEN.dropout.default},
    copies=False,
)
CONTIGUOUS = _layout("contiguous", ATEN.contiguous.default, copies=False)
CLONE = _layout("clone", ATEN.clone.default)
ALIAS = _layout("alias", ATEN.alias.default, copies=False)
MAX_POOL2D = _layout("max_pool2d", ATEN.max_pool2d.default)
PAD = _layout("pad", ATEN.pad.default, ATEN.constant_pad_nd.default)
SIZE = Operation(name="size", role=Role.SHAPE, overloads=(ATEN.sym_size.int,), integer=_size)
