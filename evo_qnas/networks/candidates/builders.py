"""Builders of candidate operators: a module for a block, or None where the operator does not fit."""

from collections.abc import Callable

from torch import nn

from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.low_rank import low_rank
from evo_qnas.networks.candidates.pruning import pruned
from evo_qnas.networks.models.deeplab import AtrousPyramid
from evo_qnas.networks.models.layers import depthwise_separable, fused_inverted_residual, inverted_residual

Builder = Callable[..., nn.Module | None]


def _stack(layer: Callable[..., nn.Module]) -> Builder:
    """A builder of `depth` such layers, the first of which takes the stride and the change of channels.

    They keep the dilation of the block that they may replace, unless a card gives one.
    """

    def build(shape: BlockShape, *, depth: int = 1, dilation: int = 0, **parameters: int) -> nn.Module | None:
        if len(shape.inputs) != 3 or len(shape.outputs) != 3:
            return None
        width, layers = shape.inputs[0], []
        for index in range(depth):
            stride = shape.stride if index == 0 else 1
            rate = dilation or shape.dilation
            layers.append(layer(width, shape.outputs[0], stride=stride, dilation=rate, **parameters))
            width = shape.outputs[0]
        return nn.Sequential(*layers)

    return build


def _separable_pyramid(shape: BlockShape, *, rate: int, divide: int = 1) -> nn.Module | None:
    """An atrous pyramid of depthwise-separable branches with the rates 1, 2 and 3 times `rate`."""
    if len(shape.inputs) != 3 or shape.inputs[1:] != shape.outputs[1:]:
        return None
    width = max(8, shape.outputs[0] // divide)
    return AtrousPyramid(
        shape.inputs[0], shape.outputs[0], rates=[rate, 2 * rate, 3 * rate], hidden=width, separable=True
    )


def _pruned(
    shape: BlockShape, *, block: nn.Module, keep: int, multiple: int, skip_sensitive: int = 0
) -> nn.Module | None:
    """A narrower copy of the teacher's block."""
    _check_width(keep, multiple)
    if skip_sensitive not in {0, 1}:
        raise ValueError(f"skip_sensitive is 0 (narrow everything) or 1, got {skip_sensitive}")
    return pruned(block, keep, multiple, skip_sensitive=bool(skip_sensitive))


def _low_rank(shape: BlockShape, *, block: nn.Module, keep: int, multiple: int, width: int = 100) -> nn.Module | None:
    """A copy of the teacher's block with its wide convolutions factorised."""
    _check_width(keep, multiple)
    if not 0 < width <= 100:
        raise ValueError(f"width is a share in percent between 1 and 100, got {width}")
    return low_rank(block, keep, multiple, width=width)


def _check_width(keep: int, multiple: int) -> None:
    if not 0 < keep < 100:
        raise ValueError(f"keep is a share in percent between 1 and 99, got {keep}")
    if multiple < 1:
        raise ValueError(f"multiple is a number of channels of at least 1, got {multiple}")


def _identity(shape: BlockShape) -> nn.Module | None:
    return nn.Identity() if shape.inputs == shape.outputs else None


BUILDERS: dict[str, Builder] = {
    "inverted_residual": _stack(inverted_residual),
    "fused_inverted_residual": _stack(fused_inverted_residual),
    "depthwise_separable": _stack(depthwise_separable),
    "separable_pyramid": _separable_pyramid,
    "pruned": _pruned,
    "low_rank": _low_rank,
    "identity": _identity,
}
