"""Candidates that are the teacher's own block with its attention over windows of tokens."""

import copy
from typing import final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.framing import Frame, alone
from evo_qnas.networks.candidates.removing import attentions
from evo_qnas.networks.candidates.submodules import submodules


@final
class Windowed(nn.Module):
    """An attention within windows of tokens that follow each other; tokens of other windows are not seen."""

    def __init__(self, attention: nn.Module, window: int) -> None:
        super().__init__()
        self.attention, self.window = attention, window

    def forward(self, x: Float[torch.Tensor, "n tokens c"]) -> Float[torch.Tensor, "n tokens c"]:
        """The same shape in and out; the number of tokens is a multiple of the window."""
        windows = x.reshape(-1, self.window, x.shape[2])
        mixed: torch.Tensor = self.attention(windows)
        return mixed.reshape(-1, x.shape[1], x.shape[2])


@torch.no_grad()
def windowed(block: nn.Module, window: int, inputs: tuple[int, ...]) -> nn.Module | str:
    """A copy of a block whose attentions look at windows of tokens, with the teacher's weights; else why there is none.

    Args:
        block: the teacher's, stays as it is.
        window: tokens of each window.
        inputs: shape of the block's input without the batch.

    Source: Liu et al. 2021, Swin Transformer, section 3.2, for attention within windows; here windows are runs of
    tokens in their order and are not shifted, since other blocks of the network look at everything.
    """
    names = attentions(block, inputs)
    device = next((parameter.device for parameter in block.parameters()), torch.device("cpu"))
    changed, example = copy.deepcopy(block).eval(), torch.zeros(2, *inputs, device=device)
    parts = {part.name: part for part in submodules(changed, example) if part.name in names}
    if not names:
        return "the block has no attention of one tensor in and one of the same shape out"
    for name in names:
        part = parts[name]
        if part.signature is None or len(part.inputs) != 2:
            return "its attention does not take tokens (examples, tokens, channels)"
        tokens = part.inputs[0]
        if tokens % window or tokens == window:
            return f"{tokens} tokens are not several windows of {window}"
        inner = Windowed(alone(changed.get_submodule(name), part.signature), window)
        plain = part.signature.is_plain
        changed.set_submodule(name, inner if plain else Frame(inner, part.signature), strict=True)
    try:
        given = changed(example)
    except (AttributeError, IndexError, NetworkError, RuntimeError, TypeError, ValueError):
        return "its attention depends on the number of tokens"
    return changed if given.shape == block(example).shape else "its attention depends on the number of tokens"
