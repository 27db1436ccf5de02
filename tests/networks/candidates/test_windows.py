"""Attention over windows of tokens in the place of one over all."""

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.operators import build_candidate, load_operators, misfits
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize

TOKENS = torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(0))
SHAPE = BlockShape(name="b", inputs=(12, 8), outputs=(12, 8), channel_axis=2)


class Attention(nn.Module):
    """Self-attention of one head; one entry of what it gives is a tensor."""

    def __init__(self, *, placed: bool = False) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.places = nn.Parameter(torch.randn(12, 12)) if placed else None

    def forward(self, x: torch.Tensor, mask: None = None) -> tuple[torch.Tensor, None]:
        query, key, value = self.qkv(x).chunk(3, -1)
        scores = query @ key.transpose(1, 2) * 0.35
        return self.out((scores if self.places is None else scores + self.places).softmax(-1) @ value), mask


class Layer(nn.Module):
    def __init__(self, *, placed: bool = False) -> None:
        super().__init__()
        self.attention, self.perceptron = Attention(placed=placed), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(x, mask=None)[0]
        total: torch.Tensor = x + self.perceptron(x)
        return total


@torch.no_grad()
def test_each_window_is_what_the_block_makes_of_it_alone() -> None:
    block = Layer().eval()
    (operator,) = load_operators("attention_windowed", {"window": [4]})
    made = build_candidate(operator, SHAPE, seed=0, block=block)
    assert made is not None
    for size in (1, 3):
        wanted = torch.cat([block(window) for window in TOKENS[:size].split(4, 1)], 1)
        assert torch.allclose(made(TOKENS[:size]), wanted, atol=1e-6)
    assert not torch.allclose(made(TOKENS), block(TOKENS), atol=1e-3)
    quantized = quantize(made, TOKENS, Policy(fixed=Bits(weight=8, activation=8)))
    quantized.calibrate([TOKENS])
    assert 0.0 < float((quantized(TOKENS) - made(TOKENS)).norm() / made(TOKENS).norm()) < 0.05
    assert len(quantized.layers) == 3


@pytest.mark.parametrize(
    ("block", "window", "reason"),
    [
        (Layer(), 5, "12 tokens are not several windows of 5"),
        (Layer(), 12, "12 tokens are not several windows of 12"),
        (Layer(placed=True), 4, "its attention depends on the number of tokens"),
        (
            nn.Sequential(nn.Linear(8, 8)),
            4,
            "the block has no attention of one tensor in and one of the same shape out",
        ),
    ],
)
def test_it_says_why_it_does_not_fit(block: nn.Module, window: int, reason: str) -> None:
    (operator,) = load_operators("attention_windowed", {"window": [window]})
    misfit = misfits([operator], SHAPE, block=block.eval())[operator.label]
    assert misfit is not None
    assert misfit.reason == reason


def test_a_window_without_tokens_is_refused() -> None:
    (operator,) = load_operators("attention_windowed", {"window": [0]})
    with pytest.raises(NetworkError, match=r"window is a number of tokens of at least 1, got 0"):
        build_candidate(operator, SHAPE, seed=0, block=Layer())
