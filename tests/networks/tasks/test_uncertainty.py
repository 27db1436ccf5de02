"""Standard errors of metrics and of their differences, against their definitions."""

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.tasks.segmentation import Segmentation

CLASSIFICATION, SEGMENTATION = Classification(), Segmentation()


class Echo(nn.Module):
    """Gives its input as logits."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels


def halves(n: int, right: torch.Tensor) -> Images:
    """Images of two classes, half the pixels each; logits are all right where `right` and all wrong elsewhere."""
    labels = torch.zeros(n, 4, 4, dtype=torch.uint8)
    labels[:, :, 2:] = 1
    good = torch.nn.functional.one_hot(labels.long(), 2).permute(0, 3, 1, 2).float()
    return Images(pixels=torch.where(right[:, None, None, None], good, 1.0 - good), labels=labels)


def test_accuracy_is_binomial() -> None:
    """3 of 4 right: sqrt(0.75 x 0.25 / 4)."""
    logits = torch.eye(4)[torch.tensor([0, 1, 2, 2])]
    images = Images(pixels=logits[:, :, None, None], labels=torch.arange(4))
    found = CLASSIFICATION.outcomes(nn.Flatten(), images)
    assert found.tolist() == [1, 1, 1, 0]
    assert CLASSIFICATION.metric_of(found) == 0.75
    assert CLASSIFICATION.stderr(found, seed=0) == pytest.approx(np.sqrt(0.75 * 0.25 / 4))


def test_miou_is_resampled_by_image() -> None:
    """Half the images are all right, half all wrong, two classes: the spread of k / (2n - k) for k right ones of n.

    k is binomial; its spread is simulated. 200 resamples give a deviation within 5 %, four times that is allowed.
    """
    n = 100
    found = SEGMENTATION.outcomes(Echo(), halves(n, torch.arange(n) % 2 == 0))
    k = np.random.default_rng(1).binomial(n, 0.5, 20_000)
    assert SEGMENTATION.stderr(found, seed=0) == pytest.approx(np.std(k / (2 * n - k)), rel=0.2)
    assert SEGMENTATION.stderr(found, seed=0) == SEGMENTATION.stderr(found, seed=0)


@pytest.mark.parametrize("seed", range(5))
def test_the_metric_of_outcomes_is_that_of_the_task(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (9, 5, 6), generator=rng).to(torch.uint8)
    labels[torch.rand(labels.shape, generator=rng) < 0.2] = 255
    labels[labels == 3] = 2  # one class without labels, which may still be taken
    images = Images(pixels=torch.randn(9, 4, 5, 6, generator=rng), labels=labels)
    found = SEGMENTATION.outcomes(Echo(), images)
    assert found.shape == (9, 4, 3)
    assert found[:, :, 1].sum() == (labels != 255).sum()
    assert SEGMENTATION.metric_of(found) == SEGMENTATION.metric(Echo(), images)


def test_accuracies_differ_by_what_only_one_network_gets_right() -> None:
    """Of 100 images 10 are right in one network alone, 4 in the other alone: variance (0.14 - 0.06 ** 2) / 100."""
    one, other = torch.ones(100, dtype=torch.int32), torch.ones(100, dtype=torch.int32)
    one[:4] = 0
    other[4:14] = 0
    assert CLASSIFICATION.difference(one, other, seed=0)[1] == pytest.approx(np.sqrt((0.14 - 0.06**2) / 100))
    assert CLASSIFICATION.difference(one, one, seed=0)[1] == pytest.approx(0.05 / 10)


def test_networks_that_err_on_the_same_images_are_told_apart_more_surely() -> None:
    n = 100
    right = torch.arange(n) % 2 == 0
    found, same = (SEGMENTATION.outcomes(Echo(), halves(n, right)) for _ in range(2))
    assert SEGMENTATION.difference(found, same, seed=0)[1] == 0.0
    nearly = right.clone()
    nearly[:4] = False
    paired = SEGMENTATION.difference(found, SEGMENTATION.outcomes(Echo(), halves(n, nearly)), seed=0)[1]
    independent = np.hypot(SEGMENTATION.stderr(found, seed=0), SEGMENTATION.stderr(found, seed=0))
    assert 0.0 < paired < independent / 3


def test_outcomes_of_other_images_are_not_paired() -> None:
    found = SEGMENTATION.outcomes(Echo(), halves(6, torch.ones(6, dtype=torch.bool)))
    with pytest.raises(NetworkError, match=r"other images or classes cannot be paired: \(6, 2, 3\) and \(5, 2, 3\)"):
        SEGMENTATION.difference(found, found[:5], seed=0)[1]
    with pytest.raises(NetworkError, match="at least one example"):
        SEGMENTATION.outcomes(Echo(), halves(0, torch.ones(0, dtype=torch.bool)))
