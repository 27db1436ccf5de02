"""Functions of values, which runtimes compute in floats between two quantizers."""

from typing import Any

from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role


def _function(name: str, *overloads: Any) -> Operation:
    return Operation(name=name, role=Role.FUNCTION, overloads=overloads)


SIGMOID = _function("sigmoid", ATEN.sigmoid.default)
TANH = _function("tanh", ATEN.tanh.default)
HARDSWISH = _function("hardswish", ATEN.hardswish.default, ATEN.hardswish_.default)
HARDSIGMOID = _function("hardsigmoid", ATEN.hardsigmoid.default)
LEAKY_RELU = _function("leaky_relu", ATEN.leaky_relu.default)
SILU = _function("silu", ATEN.silu.default, ATEN.silu_.default)
GELU = _function("gelu", ATEN.gelu.default)
SOFTMAX = _function("softmax", ATEN.softmax.int)
CLAMP = _function("clamp", ATEN.clamp.default)
