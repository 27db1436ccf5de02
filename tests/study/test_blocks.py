"""Blocks that are found where none are named."""

from pathlib import Path

import torch
from torch import nn

from evo_qnas.data import Splits
from evo_qnas.data.live import Reading, examples_of
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


def test_names_are_taken_and_found_where_there_are_none(tmp_path: Path) -> None:
    data = splits(torch.randn(4, 3, 8, 8), tmp_path)
    assert found_blocks(staged(), ["2.0"], data) == ("2.0",)
    assert found_blocks(staged(), "2.0", data) == ("2.0",)
    found = found_blocks(staged(), "auto", data)
    assert len(found) >= 3
    assert all(name.startswith("2.") for name in found)
