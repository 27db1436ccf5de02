"""Candidates that start from the teacher's own block: narrower copies of it, and weights that fit unchanged."""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import nn

_MULTIPLE = 8
_GRID = 129


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The channels inside an inverted residual, which nothing outside it sees.

    Attributes:
        filtering: the convolution of each channel alone.
        projecting: the 1 x 1 convolution that reads the channels.
        expanding: the 1 x 1 convolution that makes them.
        norms: BatchNorm layers over them, the last one behind `filtering`.
    """

    expanding: nn.Conv2d
    filtering: nn.Conv2d
    projecting: nn.Conv2d
    norms: tuple[nn.BatchNorm2d, ...]

    @property
    def width(self) -> int:
        """How many channels there are."""
        return self.filtering.out_channels


def hidden_channels(block: nn.Module) -> tuple[Hidden, ...]:
    """Every inverted residual of a block: 1 x 1, one filter per channel, 1 x 1, in the order of registration."""
    layers = [module for module in block.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]
    places = [index for index, module in enumerate(layers) if isinstance(module, nn.Conv2d)]
    found = []
    for first, second, third in zip(places, places[1:], places[2:], strict=False):
        a, b, c = layers[first], layers[second], layers[third]
        if not (isinstance(a, nn.Conv2d) and isinstance(b, nn.Conv2d) and isinstance(c, nn.Conv2d)):
            continue
        alone = b.groups == b.in_channels == b.out_channels == a.out_channels == c.in_channels > 1
        if alone and a.groups == c.groups == 1 and a.kernel_size == c.kernel_size == (1, 1):
            between = layers[first + 1 : second] + layers[second + 1 : third]
            norms = tuple(module for module in between if isinstance(module, nn.BatchNorm2d))
            found.append(Hidden(expanding=a, filtering=b, projecting=c, norms=norms))
    return tuple(found)


@torch.no_grad()
def importance(hidden: Hidden) -> Float[torch.Tensor, " width"]:
    """How much each hidden channel moves the block's output: its spread behind ReLU6 times what reads it; (width,).

    Behind BatchNorm a channel is taken for normal with mean beta and deviation |gamma|; its constant part counts
    nothing, since biases and later means take it up. Without BatchNorm the norm of the filter stands for the spread.

    Source: Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.1, ranks by norms of weights; here the
    norm of the reading weights is multiplied by the spread of what they read.
    """
    read: torch.Tensor = hidden.projecting.weight.flatten(1).norm(dim=0)
    if not hidden.norms:
        spread: torch.Tensor = hidden.filtering.weight.flatten(1).norm(dim=1)
        return spread * read
    last = hidden.norms[-1]
    grid = torch.linspace(-4.0, 4.0, _GRID)
    share = torch.exp(-0.5 * grid**2)
    share = share / share.sum()
    values = torch.clamp(last.bias[:, None] + last.weight.abs()[:, None] * grid, 0.0, 6.0)
    mean = (values * share).sum(dim=1, keepdim=True)
    spread = ((values - mean) ** 2 * share).sum(dim=1).sqrt()
    return spread * read


def pruned(block: nn.Module, keep: int) -> nn.Module | None:
    """A copy of a block whose inverted residuals keep `keep` percent of their hidden channels, the most important.

    Numbers of channels are rounded to multiples of 8, for the sake of vector instructions. None where the block has no
    inverted residual, or nothing would go.

    Example:
        >>> from evo_qnas.networks.layers import inverted_residual
        >>> block = inverted_residual(8, 8, kernel=3, expansion=4)
        >>> [hidden.width for hidden in hidden_channels(pruned(block, 50))]
        [16]
    """
    narrow = copy.deepcopy(block)
    cut = False
    for hidden in hidden_channels(narrow):
        count = max(_MULTIPLE, round(hidden.width * keep / 100 / _MULTIPLE) * _MULTIPLE)
        if count >= hidden.width:
            continue
        _keep(hidden, torch.sort(torch.topk(importance(hidden), count).indices).values)
        cut = True
    return narrow if cut else None


def _keep(hidden: Hidden, kept: Int[torch.Tensor, " count"]) -> None:
    count = len(kept)
    for layer in (hidden.expanding, hidden.filtering):
        _select(layer, ("weight", "bias"), kept, dim=0)
        layer.out_channels = count
    hidden.filtering.in_channels = hidden.filtering.groups = count
    _select(hidden.projecting, ("weight",), kept, dim=1)
    hidden.projecting.in_channels = count
    for norm in hidden.norms:
        _select(norm, ("weight", "bias", "running_mean", "running_var"), kept, dim=0)
        norm.num_features = count


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
