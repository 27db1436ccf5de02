"""Our own tasks under the contract of tasks."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas.data import IGNORE, Augmentation, Examples, Splits
from evo_qnas.errors import CardError, NetworkError
from evo_qnas.networks.models.teachers import InvertedResidualClassifier
from evo_qnas.networks.tasks.base import TASKS, Task
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.testing.tasks import TaskContract
from tests.networks.conftest import STAGES, make_images
from tests.networks.tasks.test_segmentation import scenes, small


class Recite(nn.Module):
    """Gives prepared outputs, batch by batch in their order, whatever comes in."""

    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs, self.next = outputs, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        start, self.next = self.next, (self.next + len(x)) % len(self.outputs)
        return self.outputs[start : start + len(x)]


class TestClassification(TaskContract):
    settings = TeacherSettings(epochs=6, batch_size=8, learning_rate=1e-2, weight_decay=1e-4, shift_pixels=1)

    def make_task(self) -> Task:
        return TASKS.get("classification")

    def make_splits(self) -> Splits:
        parts = {part: make_images(48, seed) for seed, part in enumerate(("train", "search", "test"))}
        return Splits(**parts, classes=("0", "1", "2", "3"))

    def make_network(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            return InvertedResidualClassifier(channels=1, classes=4, stem=8, stages=STAGES, head=16)

    def perfect(self, data: Examples) -> nn.Module:
        return Recite(functional.one_hot(data.labels, 4).float())


class TestSegmentation(TaskContract):
    settings = TeacherSettings(
        epochs=4,
        batch_size=8,
        learning_rate=1e-2,
        weight_decay=1e-4,
        average=0.9,
        validate_every=2,
        augmentation=Augmentation(flip=True, crop=(16, 24)),
    )

    def make_task(self) -> Task:
        return TASKS.get("segmentation")

    def make_splits(self) -> Splits:
        parts = {part: scenes(24, seed) for seed, part in enumerate(("train", "search", "test"))}
        return Splits(**parts, classes=("sky", "ground", "box"))

    def make_network(self) -> nn.Module:
        return small()

    def perfect(self, data: Examples) -> nn.Module:
        known = torch.where(data.labels == IGNORE, 0, data.labels).long()
        return Recite(functional.one_hot(known, 3).permute(0, 3, 1, 2).float())


TRAINING = TeacherSettings(epochs=1, batch_size=8, learning_rate=1e-2, weight_decay=0.0)
TUNING = TaskContract.finetuning


@pytest.mark.parametrize(
    ("name", "wrong", "right", "settings"),
    [
        ("classification", "augmentation", "shift_pixels", {"augmentation": Augmentation()}),
        ("segmentation", "shift_pixels", "augmentation", {"shift_pixels": 1}),
    ],
)
def test_settings_of_the_other_task_are_refused(
    name: str, wrong: str, right: str, settings: dict[str, Augmentation | int]
) -> None:
    plain = {"epochs": 1, "batch_size": 8, "learning_rate": 1e-2}
    training = TeacherSettings(**plain, weight_decay=0.0, **settings)
    tuning = FinetuningSettings(**plain, step_learning_rate=0.1, temperature=1.0, teacher_share=0.5, **settings)
    other = next(task for task in ("classification", "segmentation") if task != name)
    with pytest.raises(NetworkError, match=rf"^teacher.training.{wrong} is for {other}: {name} has .*ing.{right}$"):
        TASKS.get(name).check_settings(training, TUNING)
    with pytest.raises(NetworkError, match=rf"^finetuning.{wrong} is for {other}: {name} has finetuning.{right}$"):
        TASKS.get(name).check_settings(TRAINING, tuning)


def test_an_unknown_task_names_the_nearest() -> None:
    assert TASKS.names()[:2] == ("classification", "segmentation")
    with pytest.raises(CardError, match=r"there is no task 'segmentaton'; the nearest are: segmentation"):
        TASKS.get("segmentaton")
