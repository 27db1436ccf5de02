"""Standard errors of metrics, against their definitions."""

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.networks.tasks import TASKS
from evo_qnas.networks.uncertainty import metric_stderr


class Echo(nn.Module):
    """Gives its input as logits."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels


def test_accuracy_is_binomial() -> None:
    """3 of 4 right: sqrt(0.75 x 0.25 / 4)."""
    logits = torch.eye(4)[torch.tensor([0, 1, 2, 2])]
    images = Images(pixels=logits[:, :, None, None], labels=torch.arange(4))
    found = metric_stderr(TASKS["classification"], nn.Flatten(), images, seed=0)
    assert found == pytest.approx(np.sqrt(0.75 * 0.25 / 4))


def test_miou_is_resampled_by_image() -> None:
    """Half the images are all right, half all wrong, two classes: the spread of k / (2n - k) for k right ones of n.

    k is binomial; its spread is simulated. 200 resamples give a deviation within 5 %, four times that is allowed.
    """
    n = 100
    labels = torch.zeros(n, 4, 4, dtype=torch.uint8)
    labels[:, :, 2:] = 1
    right = torch.nn.functional.one_hot(labels.long(), 2).permute(0, 3, 1, 2).float()
    pixels = torch.where((torch.arange(n) % 2 == 0)[:, None, None, None], right, 1.0 - right)
    found = metric_stderr(TASKS["segmentation"], Echo(), Images(pixels=pixels, labels=labels), seed=0)
    k = np.random.default_rng(1).binomial(n, 0.5, 20_000)
    assert found == pytest.approx(np.std(k / (2 * n - k)), rel=0.2)
    again = metric_stderr(TASKS["segmentation"], Echo(), Images(pixels=pixels, labels=labels), seed=0)
    assert found == again
