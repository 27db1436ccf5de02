"""Layers whose weights are computed from weights."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.candidates.channels.baking import baked
from evo_qnas.networks.candidates.pruning import pruned


class Standardized(nn.Conv2d):
    """Weight standardisation, as norm-free networks have it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return self._conv_forward(x, weight, self.bias)


class Padded(Standardized):
    """One that pads too: more than a convolution."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, (1, 0, 1, 0)))


def normed(layer: nn.Module) -> nn.Module:
    return nn.utils.parametrizations.weight_norm(layer)


@torch.no_grad()
@pytest.mark.parametrize(
    ("layers", "inputs", "goes"),
    [
        ([Standardized(8, 16, 3, 2, 1, bias=False), Standardized(16, 8, 3, 1, 2, 2)], (8, 6, 6), True),
        ([Standardized(8, 16, 3, groups=2), Standardized(16, 8, 1)], (8, 6, 6), False),
        ([normed(nn.Conv1d(8, 16, 3, padding=1)), normed(nn.Conv1d(16, 8, 1))], (8, 9), True),
        ([normed(nn.Linear(8, 16)), nn.utils.parametrizations.spectral_norm(nn.Linear(16, 8))], (5, 8), True),
    ],
)
def test_a_baked_block_computes_the_same_with_plain_layers(
    layers: list[nn.Module], inputs: tuple[int, ...], goes: bool
) -> None:
    block = nn.Sequential(layers[0], nn.ReLU(), layers[1]).eval()
    made = baked(block, inputs)
    assert isinstance(made, nn.Sequential)
    assert {type(part) for part in made} <= {nn.Conv1d, nn.Conv2d, nn.Linear, nn.ReLU}
    assert block[0] is layers[0]
    x = torch.randn(3, *inputs, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(made(x), block(x), atol=1e-6)
    narrow = pruned(block, 50, inputs=inputs)
    assert (narrow is not None) == goes  # groups are tied to what comes in
    assert narrow is None or narrow[0].weight.shape[0] == 8  # type: ignore[index]  # a Sequential


def test_other_blocks_stay_as_they_are() -> None:
    plain = nn.Sequential(nn.Conv2d(8, 8, 1))
    assert baked(plain, (8, 4, 4)) is plain
    padded = nn.Sequential(Padded(8, 8, 3))
    assert isinstance(baked(padded, (8, 4, 4))[0], Padded)  # type: ignore[index]  # a Sequential
