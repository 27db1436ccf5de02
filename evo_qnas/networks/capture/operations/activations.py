"""Activations that cut values to limits: the quantizer behind them does it on its codes."""

import math

from torch import fx

from evo_qnas.networks.capture.operations.operation import ATEN, Role, arguments_of, declare


def _of_arguments(node: fx.Node) -> tuple[float, float]:
    _, low, high = arguments_of(node)
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def _from(node: fx.Node) -> tuple[float, float]:
    return float(arguments_of(node)[1]), math.inf


def _up_to(node: fx.Node) -> tuple[float, float]:
    return -math.inf, float(arguments_of(node)[1])


RELU = declare("relu", Role.ACTIVATION, ATEN.relu.default, passes=True, limits=lambda _node: (0.0, math.inf))
RELU6 = declare("relu6", Role.ACTIVATION, ATEN.relu6.default, passes=True, limits=lambda _node: (0.0, 6.0))
HARDTANH = declare("hardtanh", Role.ACTIVATION, ATEN.hardtanh.default, passes=True, limits=_of_arguments)
CLAMP = declare("clamp", Role.ACTIVATION, ATEN.clamp.default, ATEN.clip.default, passes=True, limits=_of_arguments)
CLAMP_MIN = declare("clamp_min", Role.ACTIVATION, ATEN.clamp_min.default, passes=True, limits=_from)
CLAMP_MAX = declare("clamp_max", Role.ACTIVATION, ATEN.clamp_max.default, passes=True, limits=_up_to)
