"""Tensors that depend on the size of the batch alone; what depends on nothing is folded at capture."""

from evo_qnas.networks.capture.operations.operation import ATEN, Role, declare

FULL = declare(
    "full",
    Role.FUNCTION,
    ATEN.zeros.default,
    ATEN.ones.default,
    ATEN.full.default,
    ATEN.new_zeros.default,
    ATEN.new_ones.default,
    ATEN.new_full.default,
    ATEN.zeros_like.default,
    ATEN.ones_like.default,
    ATEN.full_like.default,
    passes=True,
)
ARANGE = declare("arange", Role.FUNCTION, ATEN.arange.default, ATEN.arange.start, ATEN.arange.start_step)
