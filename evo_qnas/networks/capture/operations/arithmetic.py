"""Arithmetic with several tensors."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Joined, Pending, Total
from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role


def _add(_node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    first, second, share = arguments
    if not isinstance(first, Centred) or not isinstance(second, Centred) or share != 1:
        return None
    return Pending(Total(first, second))


def _cat(_node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    parts, axis = arguments
    if not all(isinstance(part, Centred) for part in parts):
        return None
    return Pending(Joined(tuple(parts), axis))


ADD = Operation(
    name="add",
    role=Role.ARITHMETIC,
    overloads=(ATEN.add.Tensor, ATEN.add_.Tensor),
    plain={ATEN.add_.Tensor: ATEN.add.Tensor},
    integer=_add,
)
SUB = Operation(name="sub", role=Role.ARITHMETIC, overloads=(ATEN.sub.Tensor,))
MUL = Operation(
    name="mul",
    role=Role.ARITHMETIC,
    overloads=(ATEN.mul.Tensor, ATEN.mul_.Tensor),
    plain={ATEN.mul_.Tensor: ATEN.mul.Tensor},
)
DIV = Operation(name="div", role=Role.ARITHMETIC, overloads=(ATEN.div.Tensor,))
CAT = Operation(name="cat", role=Role.ARITHMETIC, overloads=(ATEN.cat.default,), integer=_cat)
