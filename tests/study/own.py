"""Data and a task that a card names."""

from typing import Any

import torch
from torch.nn import functional

from evo_qnas.metrics import per_example
from evo_qnas.networks.tasks.measured import MeasuredTask


def halves(count: int = 60) -> dict[str, Any]:
    """Images whose number is their mean."""
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(count, 1, 8, 8, generator=generator)
    pairs = (images, images.mean(dim=(1, 2, 3)))
    third = count // 3
    parts = [tuple(column[start : start + third] for column in pairs) for start in (0, third, 2 * third)]
    return {"train": parts[0], "search": parts[1], "test": parts[2]}


def _far(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs[:, 0] - targets).abs()


TASK = MeasuredTask(
    measure=per_example(_far, name="MAE", maximize=False),
    criterion=lambda outputs, targets: functional.mse_loss(outputs[:, 0], targets),
    metric_name="MAE",
    maximize=False,
)
