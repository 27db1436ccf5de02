"""Arithmetic with several tensors."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Joined, Pending, Total
from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role, no_integer_kernel


def _add(node: fx.Node, arguments: Sequence[Any]) -> Pending:
    first, second = arguments[:2]
    if not isinstance(first, Centred) or not isinstance(second, Centred):
        raise no_integer_kernel(node)
    return Pending(Total(first, second))


def _cat(_node: fx.Node, arguments: Sequence[Any]) -> Pending:
    return Pending(Joined(tuple(arguments[0]), arguments[1]))


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
