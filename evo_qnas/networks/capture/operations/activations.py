"""Activations that cut values to limits: the quantizer behind them does it on its codes."""

import math

from torch import fx

from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role, arguments_of


def _of_arguments(node: fx.Node) -> tuple[float, float]:
    _, low, high = arguments_of(node)
    return float(low), float(high)


RELU = Operation(
    name="relu",
    role=Role.ACTIVATION,
    overloads=(ATEN.relu.default, ATEN.relu_.default),
    plain={ATEN.relu_.default: ATEN.relu.default},
    limits=lambda _node: (0.0, math.inf),
)
RELU6 = Operation(
    name="relu6",
    role=Role.ACTIVATION,
    overloads=(ATEN.relu6.default, ATEN.relu6_.default),
    plain={ATEN.relu6_.default: ATEN.relu6.default},
    limits=lambda _node: (0.0, 6.0),
)
HARDTANH = Operation(
    name="hardtanh",
    role=Role.ACTIVATION,
    overloads=(ATEN.hardtanh.default, ATEN.hardtanh_.default),
    plain={ATEN.hardtanh_.default: ATEN.hardtanh.default},
    limits=_of_arguments,
)
