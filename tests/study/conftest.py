"""Small models and settings: every stage does the real thing in a second or two."""

from typing import Any

import pytest
import torch
from torch import nn

from tests.exported_once import exported_once
from tests.tried_once import tried_anew, tried_once

__all__ = ["exported_once", "tried_anew", "tried_once"]

FAST: dict[str, Any] = {
    "weight_bits": [4, 8],
    "quantization": {"calibration_images": 16},
    "distillation": {"steps": 4, "batch_size": 16},
    "search_settings": {"evaluations": 40, "population": 8},
    "validation": {"random_networks": 0, "least_picks": 2, "size_shares": [0.9]},
    "finetuning": {"epochs": 1, "batch_size": 32},
}


class Convolutions(nn.Module):
    """A stem, two blocks that may be replaced, and a head of any number of outputs."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
        self.first = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.second(self.first(self.stem(x))))


def fitted(model: nn.Module, inputs: Any, targets: torch.Tensor, loss: Any, steps: int = 30) -> nn.Module:
    """The model, trained a little on everything."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    for _ in range(steps):
        value = loss(model(*arguments), targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    return torch.randn(96, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def squared(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs[:, 0] - targets).square().mean()
