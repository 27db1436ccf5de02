"""Comparisons, masks and choices between tensors."""

from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role, declare


def _compared(name: str) -> Operation:
    packet = getattr(ATEN, name)
    return declare(name, Role.FUNCTION, packet.Tensor, packet.Scalar)


EQ, NE, LT, LE, GT, GE = map(_compared, ("eq", "ne", "lt", "le", "gt", "ge"))
LOGICAL_AND = declare(
    "logical_and", Role.FUNCTION, ATEN.logical_and.default, ATEN.bitwise_and.Tensor, ATEN.__and__.Tensor
)
LOGICAL_OR = declare("logical_or", Role.FUNCTION, ATEN.logical_or.default, ATEN.bitwise_or.Tensor, ATEN.__or__.Tensor)
LOGICAL_NOT = declare("logical_not", Role.FUNCTION, ATEN.logical_not.default, ATEN.bitwise_not.default)
WHERE = declare(
    "where",
    Role.ARITHMETIC,
    ATEN.where.self,
    ATEN.where.ScalarOther,
    ATEN.where.ScalarSelf,
    ATEN.where.Scalar,
    passes=True,
)
MASKED_FILL = declare("masked_fill", Role.ARITHMETIC, ATEN.masked_fill.Scalar, ATEN.masked_fill.Tensor, passes=True)
ARGMAX = declare("argmax", Role.FUNCTION, ATEN.argmax.default)
ARGMIN = declare("argmin", Role.FUNCTION, ATEN.argmin.default)
