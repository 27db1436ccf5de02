import copy

import pytest
import torch
from torch import nn

from evo_qnas.data import Images, Splits
from evo_qnas.networks.models.teachers import InvertedResidualClassifier
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.tasks.settings import TeacherSettings
from tests.exported_once import exported_anew, exported_once

__all__ = ["exported_anew", "exported_once"]

STAGES = [
    {"channels": 8, "expansion": 2, "depth": 1, "stride": 1},
    {"channels": 12, "expansion": 2, "depth": 2, "stride": 2},
]


def make_images(count: int, seed: int = 1) -> Images:
    """Noisy images whose class is the bright quarter."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (count,), generator=rng)
    pixels = torch.randn(count, 1, 8, 8, generator=rng) * 0.5
    for row, label in enumerate(labels.tolist()):
        top, left = 4 * (label // 2), 4 * (label % 2)
        pixels[row, 0, top : top + 4, left : left + 4] += 1.0
    return Images(pixels=pixels, labels=labels)


@pytest.fixture(scope="session")
def labelled() -> Images:
    return make_images(128)


@pytest.fixture
def images(labelled: Images) -> torch.Tensor:
    return labelled.pixels[:64]


@pytest.fixture(scope="session")
def _trained(labelled: Images) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = InvertedResidualClassifier(channels=1, classes=4, stem=8, stages=STAGES, head=16)
    settings = TeacherSettings(epochs=20, batch_size=32, learning_rate=1e-2, weight_decay=1e-4)
    splits = Splits(train=labelled, search=labelled, test=labelled, classes=("0", "1", "2", "3"))
    Classification().train_teacher(network, splits, settings, seed=0)
    return network


@pytest.fixture
def teacher(_trained: nn.Module) -> nn.Module:
    """A small teacher that knows its images: 20 epochs end at an accuracy of 1.0 for ten seeds out of ten."""
    return copy.deepcopy(_trained)
