"""Candidates that start from the teacher's own block, its linear layers as products of two of lower rank."""

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.networks.candidates.channels.families import kept_channels
from evo_qnas.networks.candidates.removing import names_of_called


@torch.no_grad()
def factorised(
    block: nn.Module, keep: int, multiple: int = 8, *, inputs: tuple[int, ...] | None = None
) -> nn.Module | None:
    """A copy of a block whose linear layers, and convolutions that mix all channels, are products of lower rank.

    The weights, one row per output and one column per input and tap, are factorised by a truncated singular value
    decomposition: the first layer is the one with the taps and gives as many channels as the rank, the second mixes
    them. Layers that would not become smaller stay. None where all do.

    Args:
        block: the teacher's, stays as it is.
        keep: the rank, in percent of the largest that the layer can have, 1..99; a square layer becomes smaller below
            50.
        multiple: the rank is rounded to a multiple of it.
        inputs: shape of the block's input without the batch; where it is given, layers stay whose weights the block
            reads without calling them.

    Source: Denton et al. 2014, Exploiting Linear Structure Within Convolutional Networks; Hu et al. 2021, LoRA, for the
    same of linear layers. Weights alone decide: the data speak in the distillation that follows.

    Example:
        >>> factorised(nn.Sequential(nn.Linear(64, 64)), 25)[0]
        Sequential(
          (0): Linear(in_features=64, out_features=16, bias=False)
          (1): Linear(in_features=16, out_features=64, bias=True)
        )
    """
    made = copy.deepcopy(block).eval()
    called = None if inputs is None else names_of_called(block, inputs)
    cut = False
    for name, layer in list(made.named_modules()):
        pair = _pair(layer, keep, multiple) if name and (called is None or name in called) else None
        if pair is not None:
            made.set_submodule(name, pair, strict=True)
            cut = True
    if not cut and not list(made.children()):
        pair = _pair(made, keep, multiple)
        return None if pair is None else pair.eval()
    for part in made.modules():
        if isinstance(part, nn.TransformerEncoderLayer):
            part.activation_relu_or_gelu = 0  # its fused kernel, which reads the weights of its layers, is not taken
    return made if cut else None


def _pair(layer: nn.Module, keep: int, multiple: int) -> nn.Sequential | None:
    """Two layers in the place of one, None where they would not be smaller."""
    plain = type(layer) in {nn.Linear, nn.Conv1d, nn.Conv2d} and getattr(layer, "groups", 1) == 1
    if not plain or not isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
        return None
    rows = layer.weight.detach().flatten(1)
    rank = kept_channels(min(rows.shape), keep, multiple)
    if rank * sum(rows.shape) >= rows.numel() or rank >= min(rows.shape):
        return None
    first, second = _layers(layer, rank)
    if not rows.is_meta:
        left, right = _factors(rows.double(), rank)
        first.weight.copy_(right.reshape(first.weight.shape))
        second.weight.copy_(left.reshape(second.weight.shape))
        if layer.bias is not None:
            second.bias.copy_(layer.bias)
    return nn.Sequential(first, second)


def _factors(
    rows: Float[torch.Tensor, "out columns"], rank: int
) -> tuple[Float[torch.Tensor, "out rank"], Float[torch.Tensor, "rank columns"]]:
    """The nearest product of a rank, by eigenvectors of the smaller square: a layer of thousands of inputs is quick.

    Both factors get the root of each strength: neither leaves its quantizer channels of very unlike range.
    """
    wide = rows.shape[1] >= rows.shape[0]
    matrix = rows if wide else rows.t()
    squares, vectors = torch.linalg.eigh(matrix @ matrix.t())
    kept = vectors[:, -rank:].flip(1)
    # Strengths of nothing but rounding are taken for a 10^10th of the largest, so that no factor grows without bound.
    least = max(float(squares[-1]) * 1e-20, torch.finfo(torch.float32).tiny)
    root = squares[-rank:].flip(0).clamp(min=least) ** 0.25
    one, other = kept * root, kept.t() @ matrix / root[:, None]
    return (one, other) if wide else (other.t(), one.t())


def _layers(layer: nn.Linear | nn.Conv1d | nn.Conv2d, rank: int) -> tuple[Any, Any]:
    bias = layer.bias is not None
    place: Any = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, rank, bias=False, **place), nn.Linear(
            rank, layer.out_features, bias, **place
        )
    kind: Any = type(layer)
    first = kind(
        layer.in_channels,
        rank,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        bias=False,
        padding_mode=layer.padding_mode,
        **place,
    )
    return first, kind(rank, layer.out_channels, 1, bias=bias, **place)
