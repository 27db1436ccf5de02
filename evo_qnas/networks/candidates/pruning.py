"""Candidates that start from the teacher's own block: narrower copies of it, and weights that fit unchanged."""

import copy
import itertools
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int
from torch import nn

from evo_qnas.networks.candidates.hidden import Hidden, hidden_channels
from evo_qnas.networks.models.deeplab import AtrousPyramid

Layer = TypeVar("Layer", nn.Conv2d, nn.BatchNorm2d)

# Points of the numeric integral over -4 .. 4 standard deviations.
_GRID = 129


@torch.no_grad()
def importance(hidden: Hidden) -> Float[torch.Tensor, " width"]:
    """Influence of each hidden channel on the block's output, see `channel_importance`; (width,)."""
    last = hidden.norms[-1] if hidden.norms else None
    return channel_importance(hidden.projecting.weight, hidden.filtering.weight, last)


@torch.no_grad()
def channel_importance(
    reading: Float[torch.Tensor, "out width *window"],
    making: Float[torch.Tensor, "width *filter"],
    norm: nn.BatchNorm2d | None,
) -> Float[torch.Tensor, " width"]:
    """The spread of each channel behind BatchNorm and ReLU6 times the norm of the weights that read it; (width,).

    A channel is taken for normal with mean beta and deviation |gamma|; its constant part counts nothing, since biases
    and later means take it up. Without BatchNorm the norm of the making weights stands for the spread.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.1, ranks by norms of weights; here the
    norm of the reading weights is multiplied by the spread of what they read.
    """
    read: torch.Tensor = reading.transpose(0, 1).flatten(1).norm(dim=1)
    if norm is None:
        size: torch.Tensor = making.flatten(1).norm(dim=1)
        return size * read
    grid = torch.linspace(-4.0, 4.0, _GRID)
    share = torch.exp(-0.5 * grid**2)
    share = share / share.sum()
    values = torch.clamp(norm.bias[:, None] + norm.weight.abs()[:, None] * grid, 0.0, 6.0)
    mean = (values * share).sum(dim=1, keepdim=True)
    spread = ((values - mean) ** 2 * share).sum(dim=1).sqrt()
    return spread * read


def pruned(
    block: nn.Module,
    keep: int,
    multiple: int = 8,
    *,
    skip_sensitive: bool = False,
    inputs: tuple[int, ...] | None = None,
) -> nn.Module | None:
    """A copy of a block that keeps `keep` percent of the channels which nothing outside sees, the most important.

    These are the hidden channels of inverted residuals and those that the branches of an atrous pyramid give. None
    where the block has neither, or nothing would go.

    Args:
        block: the teacher's, stays as it is.
        keep: percent, 1..99.
        multiple: numbers of channels are rounded to multiples of it, for the sake of a device's vector instructions: 72
            channels can cost more time than 96.
        skip_sensitive: leave whole what a block cannot do without or what costs little: inverted residuals with no
            shortcut, whose channels are all that passes, and branches of a pyramid that see one pixel or the map's
            mean. What that gains stands in `results/reference/camvid/README.md`.
        inputs: shape of the block's input, see `hidden_channels`.

    Example:
        >>> from evo_qnas.networks.models.layers import inverted_residual
        >>> block = inverted_residual(8, 8, kernel=3, expansion=4)
        >>> [hidden.width for hidden in hidden_channels(pruned(block, 50))]
        [16]
    """
    narrow = copy.deepcopy(block)
    cut = False
    for hidden in hidden_channels(narrow, inputs):
        skipped = skip_sensitive and not hidden.residual
        chosen = None if skipped else _most_important(importance(hidden), keep, multiple)
        if chosen is not None:
            _keep(hidden, chosen)
            cut = True
    for module in narrow.modules():
        if isinstance(module, AtrousPyramid):
            cut |= _narrow_pyramid(module, keep, multiple, skip_sensitive=skip_sensitive)
    return narrow if cut else None


def kept_channels(width: int, keep: int, multiple: int) -> int:
    """`keep` percent of `width` channels, rounded to a multiple, at least one multiple."""
    return max(multiple, round(width * keep / 100 / multiple) * multiple)


def _most_important(
    values: Float[torch.Tensor, " width"], keep: int, multiple: int
) -> Int[torch.Tensor, " count"] | None:
    """Indices of the channels to keep, in order; None where all stay."""
    count = kept_channels(len(values), keep, multiple)
    return None if count >= len(values) else torch.sort(torch.topk(values, count).indices).values


def _narrow_pyramid(pyramid: AtrousPyramid, keep: int, multiple: int, *, skip_sensitive: bool) -> bool:
    """Keeps the most important channels of each branch; whether any went."""
    reader = _last(pyramid.project, nn.Conv2d)
    kept, start, cut = [], 0, False
    for branch in (*pyramid.branches, pyramid.pool):
        maker, norm = _last(branch, nn.Conv2d), _last(branch, nn.BatchNorm2d)
        width = maker.out_channels
        read = reader.weight[:, start : start + width]
        windows = [max(module.kernel_size) for module in branch.modules() if isinstance(module, nn.Conv2d)]
        skipped = skip_sensitive and max(windows) == 1
        chosen = None if skipped else _most_important(channel_importance(read, maker.weight, norm), keep, multiple)
        if chosen is not None:
            _narrow_outputs(maker, norm, chosen)
            cut = True
        kept.append(start + (torch.arange(width) if chosen is None else chosen))
        start += width
    _select(reader, ("weight",), torch.cat(kept), dim=1)
    reader.in_channels = reader.weight.shape[1]
    return cut


def _narrow_outputs(maker: nn.Conv2d, norm: nn.BatchNorm2d, kept: Int[torch.Tensor, " count"]) -> None:
    _select(maker, ("weight", "bias"), kept, dim=0)
    maker.out_channels = len(kept)
    _narrow_norm(norm, kept)


def _narrow_norm(norm: nn.BatchNorm2d, kept: Int[torch.Tensor, " count"]) -> None:
    _select(norm, ("weight", "bias", "running_mean", "running_var"), kept, dim=0)
    norm.num_features = len(kept)


def _last(module: nn.Module, kind: type[Layer]) -> Layer:
    return [part for part in module.modules() if isinstance(part, kind)][-1]


def _keep(hidden: Hidden, kept: Int[torch.Tensor, " count"]) -> None:
    count = len(kept)
    for layer in (hidden.expanding, *hidden.filters, *hidden.gating):
        _select(layer, ("weight", "bias"), kept, dim=0)
        layer.out_channels = count
    for layer in hidden.filters:
        layer.in_channels = layer.groups = count
    for layer in (hidden.projecting, *hidden.pooled):
        _select(layer, ("weight",), kept, dim=1)
        layer.in_channels = count
    for norm in (*hidden.norms, *hidden.gate_norms):
        _narrow_norm(norm, kept)


def _select(layer: nn.Module, names: tuple[str, ...], kept: Int[torch.Tensor, " count"], *, dim: int) -> None:
    for name, tensor in itertools.chain(_own(layer, "_parameters"), _own(layer, "_buffers")):
        if name in names and tensor is not None:
            chosen = tensor.detach().index_select(dim, kept)
            setattr(layer, name, nn.Parameter(chosen) if isinstance(tensor, nn.Parameter) else chosen)


def _own(layer: nn.Module, kind: str) -> Iterator[tuple[str, Any]]:
    yield from list(vars(layer)[kind].items())


@torch.no_grad()
def inherit(candidate: nn.Module, block: nn.Module) -> int:
    """Copies into a candidate every weight of the block that has the same name and shape; gives how many.

    A stack of the teacher's own layers but fewer starts as the teacher's first ones; a pyramid with other branches
    keeps those that are the same.
    """
    theirs = block.state_dict()
    fitting = {
        name: theirs[name]
        for name, tensor in candidate.state_dict().items()
        if name in theirs and theirs[name].shape == tensor.shape
    }
    candidate.load_state_dict(fitting, strict=False)
    return len(fitting)
