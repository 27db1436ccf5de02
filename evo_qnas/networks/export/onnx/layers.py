"""Settings of the convolutions of a captured graph."""

from collections.abc import Sequence
from typing import Any

from evo_qnas.networks.export.onnx.moves import pair


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
