"""What convolutions and ReLU-like nodes of a captured graph are set to."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN, arguments_of
from evo_qnas.networks.export.onnx.moves import pair


def activation_limits(node: fx.Node) -> tuple[float, float]:
    """Lower and upper limit of a ReLU-like node."""
    if node.target in {ATEN.hardtanh.default, ATEN.hardtanh_.default}:
        _, low, high = arguments_of(node)
        return float(low), float(high)
    return 0.0, 6.0 if node.target in {ATEN.relu6.default, ATEN.relu6_.default} else float("inf")


def convolution_arguments(
    weight: Sequence[int], arguments: Sequence[Any]
) -> tuple[list[int], list[int], list[int], int]:
    """Stride, padding (all beginnings, then all ends), dilation and groups of a convolution.

    Args:
        weight: shape of its weights.
        arguments: those of the operation behind input, weight and bias.
    """
    axes = len(weight) - 2
    given: list[Any] = [*arguments, *[1, 0, 1, 1][len(arguments) :]]
    stride, padding, dilation, groups = given
    strides, dilations = (pair(v)[:axes] if axes == 1 else pair(v) for v in (stride, dilation))
    if padding == "same":
        totals = [d * (size - 1) for d, size in zip(dilations, weight[2:], strict=True)]
        pads = [total // 2 for total in totals] + [total - total // 2 for total in totals]
    elif isinstance(padding, str):
        pads = [0] * (2 * axes)
    else:
        pads = (pair(padding)[:axes] if axes == 1 else pair(padding)) * 2
    return strides, pads, dilations, int(groups)
