"""Blocks that are found where none are named."""

from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.data import Splits
from evo_qnas.data.live import Reading, examples_of
from evo_qnas.errors import NetworkError
from evo_qnas.study.blocks import found_blocks


def splits(inputs: torch.Tensor, folder: Path) -> Splits:
    data = examples_of(inputs, Reading(), folder=folder)
    return Splits(train=data, search=data, test=data, classes=())


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.inner(x))


def staged() -> nn.Module:
    stages = nn.Sequential(Residual(), Residual(), nn.Sequential(Residual(), Residual()))
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def test_stages_are_blocks_and_first_and_last_layer_are_not(tmp_path: Path) -> None:
    data = splits(torch.randn(4, 3, 8, 8), tmp_path)
    assert found_blocks(staged(), "auto", data) == ("2.0", "2.1", "2.2.0", "2.2.1")
    assert found_blocks(staged(), ["2.0"], data) == ("2.0",)
    assert found_blocks(staged(), "2.0", data) == ("2.0",)


def test_a_model_of_two_layers_has_no_blocks(tmp_path: Path) -> None:
    data = splits(torch.randn(4, 6), tmp_path)
    with pytest.raises(NetworkError, match=r"blocks = 'auto' finds no submodule with weights"):
        found_blocks(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), "auto", data)


def test_shared_modules_are_no_blocks(tmp_path: Path) -> None:
    layer = nn.Linear(6, 6)
    model = nn.Sequential(nn.Linear(6, 6), layer, layer, nn.Linear(6, 6), nn.Linear(6, 2))
    assert found_blocks(model, "auto", splits(torch.randn(4, 6), tmp_path)) == ("3",)
