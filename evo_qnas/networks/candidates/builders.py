"""Builders of candidate operators: a module for a block, or why the operator does not fit."""

import math
from collections.abc import Callable

from torch import nn

from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.channels.tracing import trace
from evo_qnas.networks.candidates.factorising import factorised
from evo_qnas.networks.candidates.low_rank import low_rank
from evo_qnas.networks.candidates.misfit import Misfit
from evo_qnas.networks.candidates.pruning import families, pruned
from evo_qnas.networks.candidates.removing import (
    REPLACEMENTS,
    attentions,
    layers_with_shortcut,
    without_attention,
    without_layers,
)
from evo_qnas.networks.candidates.windows import windowed
from evo_qnas.networks.models.deeplab import AtrousPyramid
from evo_qnas.networks.models.layers import (
    ChannelsSecond,
    depthwise_separable,
    fused_inverted_residual,
    inverted_residual,
)

Builder = Callable[..., nn.Module | Misfit | None]


def _stack(layer: Callable[..., nn.Module]) -> Builder:
    """A builder of `depth` such layers, the first of which takes the stride and the change of channels.

    They keep the dilation of the block that they may replace, unless a card gives one. Signals and tokens get
    convolutions along their one axis, and channels that are the last axis become the second inside.
    """

    def build(shape: BlockShape, *, depth: int = 1, dilation: int = 0, **parameters: int) -> nn.Module | Misfit:
        misfit = _no_strides(shape)
        if misfit is not None:
            return misfit
        (width, outputs), layers = shape.channels, []
        for index in range(depth):
            first = shape.strides[0] if len(set(shape.strides)) == 1 else shape.strides
            stride, rate = first if index == 0 else 1, dilation or shape.dilation
            layers.append(layer(width, outputs, stride=stride, dilation=rate, dims=shape.dims, **parameters))
            width = outputs
        body = nn.Sequential(*layers)
        return ChannelsSecond(body) if shape.channels_last else body

    return build


def _separable_pyramid(shape: BlockShape, *, rate: int, divide: int = 1) -> nn.Module | Misfit:
    """An atrous pyramid of depthwise-separable branches with the rates 1, 2 and 3 times `rate`."""
    if not shape.is_map:
        return _not_a_map()
    if shape.inputs[1:] != shape.outputs[1:]:
        return Misfit("it keeps the size of maps, and the block does not")
    width = max(8, shape.outputs[0] // divide)
    return AtrousPyramid(
        shape.inputs[0], shape.outputs[0], rates=[rate, 2 * rate, 3 * rate], hidden=width, separable=True
    )


def _pruned(
    shape: BlockShape, *, block: nn.Module, keep: int, multiple: int, skip_sensitive: int = 0
) -> nn.Module | Misfit:
    """A narrower copy of the teacher's block."""
    _check_width(keep, multiple)
    if skip_sensitive not in {0, 1}:
        raise ValueError(f"skip_sensitive is 0 (narrow everything) or 1, got {skip_sensitive}")
    narrow = pruned(block, keep, multiple, skip_sensitive=bool(skip_sensitive), inputs=shape.inputs)
    if narrow is not None:
        return narrow
    if not families(block, shape.inputs):
        if trace(block, shape.inputs) is None:
            return Misfit(
                "what the block computes cannot be followed: it takes more than its tensor, or asks for values"
            )
        return Misfit("the block has no channels inside it that could go: all are tied to what it takes or gives")
    return Misfit(f"nothing of the block would go at keep = {keep} in multiples of {multiple}")


def _low_rank(shape: BlockShape, *, block: nn.Module, keep: int, multiple: int, width: int = 100) -> nn.Module | Misfit:
    """A copy of the teacher's block with its wide convolutions factorised."""
    _check_width(keep, multiple)
    if not 0 < width <= 100:
        raise ValueError(f"width is a share in percent between 1 and 100, got {width}")
    made = low_rank(block, keep, multiple, width=width)
    if made is None:
        return Misfit("the block has no atrous pyramid with wide branches that a reduction would narrow")
    return made


def _factorised(shape: BlockShape, *, block: nn.Module, keep: int, multiple: int) -> nn.Module | Misfit:
    """A copy of the teacher's block with its layers as products of lower rank."""
    _check_width(keep, multiple)
    made = factorised(block, keep, multiple, inputs=shape.inputs)
    return (
        Misfit(f"no layer of the block becomes smaller at keep = {keep} in multiples of {multiple}")
        if made is None
        else made
    )


def _fewer_layers(shape: BlockShape, *, block: nn.Module, drop: int) -> nn.Module | Misfit:
    """A copy of the teacher's block without its last layers with a shortcut."""
    if drop < 1:
        raise ValueError(f"drop is a number of layers of at least 1, got {drop}")
    made = without_layers(block, drop, shape.inputs)
    if made is not None:
        return made
    count = len(layers_with_shortcut(block, shape.inputs))
    return Misfit(f"{drop} of its layers would go, and {count} can: those that add to their own input, beside others")


def _attention(replacement: str) -> Builder:
    """A builder of the teacher's block with something else in place of its attention."""

    def build(shape: BlockShape, *, block: nn.Module) -> nn.Module | Misfit:
        if not attentions(block, shape.inputs):
            return Misfit("the block has no attention of one tensor in and one of the same shape out")
        made = without_attention(block, replacement, shape.inputs)
        return Misfit("the block reads more of its attention than what that gives") if made is None else made

    return build


def _attention_windowed(shape: BlockShape, *, block: nn.Module, window: int) -> nn.Module | Misfit:
    """A copy of the teacher's block with its attention over windows of tokens."""
    if window < 1:
        raise ValueError(f"window is a number of tokens of at least 1, got {window}")
    made = windowed(block, window, shape.inputs)
    return Misfit(made) if isinstance(made, str) else made


def _check_width(keep: int, multiple: int) -> None:
    if not 0 < keep < 100:
        raise ValueError(f"keep is a share in percent between 1 and 99, got {keep}")
    if multiple < 1:
        raise ValueError(f"multiple is a number of channels of at least 1, got {multiple}")


def _not_a_map() -> Misfit:
    """Why an operator of maps does not fit a block of something else."""
    return Misfit("it takes maps (channels, height, width), and the block takes or gives something else")


def _no_strides(shape: BlockShape) -> Misfit | None:
    """Why no convolutions with strides make the block's outputs of its inputs, None where they do."""
    if shape.dims not in {1, 2}:
        return Misfit("it takes maps, signals or tokens, and the block takes or gives something else")
    before, after = shape.sizes
    made = tuple(math.ceil(size / stride) for size, stride in zip(before, shape.strides, strict=True))
    if made != after:
        return Misfit(f"no stride makes maps of {_size(before)} into {_size(after)}")
    return None


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def _identity(shape: BlockShape) -> nn.Module | Misfit:
    if shape.inputs == shape.outputs:
        return nn.Identity()
    return Misfit("the block gives another shape than it takes")


BUILDERS: dict[str, Builder] = {
    "inverted_residual": _stack(inverted_residual),
    "fused_inverted_residual": _stack(fused_inverted_residual),
    "depthwise_separable": _stack(depthwise_separable),
    "separable_pyramid": _separable_pyramid,
    "pruned": _pruned,
    "low_rank": _low_rank,
    "factorised": _factorised,
    "fewer_layers": _fewer_layers,
    **{f"attention_{replacement}": _attention(replacement) for replacement in REPLACEMENTS},
    "attention_windowed": _attention_windowed,
    "identity": _identity,
}
