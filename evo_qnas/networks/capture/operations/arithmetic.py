"""Arithmetic with several tensors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Joined, Pending, Total
from evo_qnas.networks.capture.operations.operation import ATEN, Role, declare


def _add(_node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    first, second, share = arguments
    if not isinstance(first, Centred) or not isinstance(second, Centred) or share != 1:
        return None
    return Pending(Total(first, second))


def _stack(_node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    parts, axis = arguments
    if not all(isinstance(part, Centred) for part in parts):
        return None
    return Pending(Joined(tuple(replace(part, integers=part.integers.unsqueeze(axis)) for part in parts), axis))


def _cat(_node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    parts, axis = arguments
    if not all(isinstance(part, Centred) for part in parts):
        return None
    return Pending(Joined(tuple(parts), axis))


ADD = declare("add", Role.ARITHMETIC, ATEN.add.Tensor, ATEN.add.Scalar, integer=_add, passes=True)
SUB = declare("sub", Role.ARITHMETIC, ATEN.sub.Tensor, ATEN.sub.Scalar, passes=True)
RSUB = declare("rsub", Role.ARITHMETIC, ATEN.rsub.Scalar, ATEN.rsub.Tensor, passes=True)
MUL = declare("mul", Role.ARITHMETIC, ATEN.mul.Tensor, ATEN.mul.Scalar, passes=True)
# A divisor that was rounded to 0 would give infinities: what leads there stays in floats.
DIV = declare("div", Role.ARITHMETIC, ATEN.div.Tensor, ATEN.div.Scalar, float_arguments=(1,), passes=True)
DIV_ROUNDED = declare(
    "div_rounded", Role.ARITHMETIC, ATEN.div.Tensor_mode, ATEN.div.Scalar_mode, ATEN.floor_divide.default
)
REMAINDER = declare("remainder", Role.ARITHMETIC, ATEN.remainder.Scalar, ATEN.remainder.Tensor)
MINIMUM = declare("minimum", Role.ARITHMETIC, ATEN.minimum.default, ATEN.min.other, passes=True)
MAXIMUM = declare("maximum", Role.ARITHMETIC, ATEN.maximum.default, ATEN.max.other, passes=True)
ADDCMUL = declare("addcmul", Role.ARITHMETIC, ATEN.addcmul.default, passes=True)
CAT = declare("cat", Role.ARITHMETIC, ATEN.cat.default, ATEN.concat.default, integer=_cat)
STACK = declare("stack", Role.ARITHMETIC, ATEN.stack.default, integer=_stack)
SLICE_SCATTER = declare("slice_scatter", Role.ARITHMETIC, ATEN.slice_scatter.default)
SELECT_SCATTER = declare("select_scatter", Role.ARITHMETIC, ATEN.select_scatter.default)
COPY = declare("copy", Role.ARITHMETIC, ATEN.copy.default)
