"""Candidates that start from the teacher's own block, its wide convolutions factorised."""

import copy

import torch
from torch import nn

from evo_qnas.networks.candidates.channels.families import kept_channels
from evo_qnas.networks.candidates.pruning import pruned
from evo_qnas.networks.models.deeplab import AtrousPyramid


def low_rank(block: nn.Module, keep: int, multiple: int = 8, *, width: int = 100) -> nn.Module | None:
    """A copy of a block whose atrous pyramids read their wide branches from one shared 1 x 1 reduction.

    The weights of all those branches, one row per output channel, tap and branch and one column per input channel,
    are factorised by a truncated singular value decomposition; the rank is the number of channels that are left. A
    pyramid that follows a linear bottleneck reads channels that vary together, so that half of them lose little. None
    where no pyramid with wide branches is there, or nothing would go: of the reduction, or of a width below 100.

    Args:
        block: the teacher's, stays as it is.
        keep: percent of the channels that go into the branches, 1..99.
        multiple: the rank is rounded to a multiple of it.
        width: percent of the channels that branches give which stay; below 100 the block is first narrowed by `pruned`.

    Source: Zhang et al. 2016, Accelerating Very Deep Convolutional Networks, section 3.1, for a convolution as one of
    lower rank and a 1 x 1 convolution; there the 1 x 1 convolution comes second and data decides, here it comes first,
    since one then serves all branches, and weights alone decide: the data speak in the distillation that follows.

    Example:
        >>> from evo_qnas.networks.models.deeplab import AtrousPyramid
        >>> low_rank(AtrousPyramid(32, 32, rates=[1, 2]), 50).reduce
        Conv2d(32, 16, kernel_size=(1, 1), stride=(1, 1), bias=False)
    """
    factorised = copy.deepcopy(block) if width == 100 else pruned(block, width, multiple)
    if factorised is None:
        return None
    cut = False
    for module in list(factorised.modules()):
        if isinstance(module, AtrousPyramid):
            cut |= _factorise(module, keep, multiple)
    return factorised if cut else None


@torch.no_grad()
def _factorise(pyramid: AtrousPyramid, keep: int, multiple: int) -> bool:
    """Puts the shared reduction into a pyramid; whether there was anything to share."""
    wide = [module for branch in list(pyramid.branches)[1:] for module in branch.modules()]
    layers = [module for module in wide if isinstance(module, nn.Conv2d)]
    if not layers or not isinstance(pyramid.reduce, nn.Identity) or any(layer.groups > 1 for layer in layers):
        return False
    channels = layers[0].in_channels
    rank = kept_channels(channels, keep, multiple)
    if rank >= channels:
        return False
    weights = [layer.weight.permute(0, 2, 3, 1) for layer in layers]
    rows = torch.cat([weight.reshape(-1, channels) for weight in weights]).double()
    left, strength, right = torch.linalg.svd(rows, full_matrices=False)
    # Both factors get the root of each strength, so that neither leaves its quantizer channels of very unlike range.
    root = strength[:rank].sqrt()
    reduction = nn.Conv2d(channels, rank, 1, bias=False).to(layers[0].weight)
    reduction.weight.copy_((root[:, None] * right[:rank])[:, :, None, None])
    shares = (left[:, :rank] * root).split([weight[..., 0].numel() for weight in weights])
    for layer, weight, share in zip(layers, weights, shares, strict=True):
        fitted = share.reshape(*weight.shape[:3], rank).permute(0, 3, 1, 2)
        layer.weight = nn.Parameter(fitted.to(layer.weight).contiguous())
        layer.in_channels = rank
    pyramid.reduce = reduction
    return True
