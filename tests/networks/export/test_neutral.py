"""Operations that change nothing, which ONNX Runtime takes out of a file: what stands around them stays as it is."""

from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.networks.export.common.walk import walk
from evo_qnas.networks.export.onnx.runtime import OnnxRuntime
from tests.networks.export.conftest import quantized, written


class _Numbers(nn.Module):
    """Sums over branches that start at 0, as structural re-parametrization writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = 0 + self.first(x) + self.first(-x) + 0.0
        return self.second(torch.relu((y - 0) * 1 / 1.0)).flatten(1)


class _Learned(nn.Module):
    """A scale and a shift that learn, and have not learned yet."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, padding=1)
        self.scale, self.shift = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first(x)) * self.scale
        return self.second(torch.relu(torch.sigmoid(y) + self.shift)).flatten(1)


class _Written(nn.Module):
    """Values that are written over all places of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        y[:] = torch.sigmoid(y)
        y[:, :4] *= 2
        return self.second(y).flatten(1)


@pytest.mark.parametrize("network", [_Numbers, _Learned, _Written])
def test_codes_around_what_changes_nothing(network: type[nn.Module], tmp_path: Path) -> None:
    sample = torch.randn(6, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    made = quantized(network(), sample)
    path = written(made, tmp_path)
    codes = OnnxRuntime().codes(made, path, sample.numpy())
    assert codes is not None, "a session that gives codes gives other outputs"
    assert walk(made, codes, sample).differing == {}
    used = OnnxRuntime().kernels(path)
    assert used.integer_convolutions == used.convolutions
