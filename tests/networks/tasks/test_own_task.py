"""A task of another package in one file: the side of a bright square, a float per image, from training to integers."""

import dataclasses
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import nn

from evo_qnas import registry
from evo_qnas.data import Examples, Splits
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.models.layers import conv_bn, inverted_residual
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.scoring.in_context import score_in_context, teacher_outputs
from evo_qnas.networks.scoring.local import assemble_quantized
from evo_qnas.networks.tasks.base import TASKS, Task
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.testing.tasks import TaskContract
from evo_qnas.networks.training.distill import block_features, distill
from evo_qnas.networks.training.features import StoredFeatures
from evo_qnas.networks.training.finetune import finetune
from tests.plugin.squares_plugin.regression import Regression
from tests.plugin.squares_plugin.squares import squares


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if a package had `[project.entry-points."evo_qnas.tasks"]`."""
    entry = EntryPoint(name="regression", value=f"{Regression.__module__}:Regression", group="evo_qnas.tasks")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == entry.group else [])
    registry._entries.cache_clear()
    yield
    registry._entries.cache_clear()
    TASKS._made.pop("regression", None)


def splits_of(train: int = 64) -> Splits:
    return Splits(train=squares(train, 1), search=squares(48, 2), test=squares(48, 3), classes=())


def make_teacher() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return nn.Sequential(
            conv_bn(1, 8, kernel=3, stride=2),
            nn.Sequential(inverted_residual(8, 8, kernel=3, expansion=4)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 1),
        )


SETTINGS = TeacherSettings(epochs=20, batch_size=16, learning_rate=2e-2, weight_decay=1e-4)
TUNING = FinetuningSettings(
    epochs=6, batch_size=16, learning_rate=3e-3, step_learning_rate=1e-2, temperature=1.0, teacher_share=0.5
)


class TestRegression(TaskContract):
    settings = dataclasses.replace(SETTINGS, epochs=6)
    best = 0.0

    def make_task(self) -> Task:
        return TASKS.get("regression")

    def make_splits(self) -> Splits:
        return splits_of()

    def make_network(self) -> nn.Module:
        return make_teacher()

    def perfect(self, data: Examples) -> nn.Module:
        known = {round(float(image.sum()), 3): label for image, label in zip(data.pixels, data.labels, strict=True)}

        class Table(nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.stack([known[round(float(image.sum()), 3)] for image in x])[:, None]

        return Table()


def test_a_regression_goes_from_its_teacher_to_integers() -> None:
    """Targets spread by 1.7; a teacher that gives their mean has that error.

    Two bits ruin the network, fine-tuning brings back at least half of the loss; the test part measures all.
    """
    task, splits, teacher = TASKS.get("regression"), splits_of(), make_teacher()
    (measured,) = task.train_teacher(teacher, splits, SETTINGS, seed=1)
    assert measured == task.metric(teacher, splits.search)
    assert measured < 0.8 < float(splits.search.labels.std())
    (shape,) = find_blocks(teacher, ["1"], splits.train.take(slice(0, 2))[0])
    (operator,) = load_operators("pruned", {"keep": [50]})
    candidate = build_candidate(operator, shape, seed=0, block=teacher[1])
    assert candidate is not None
    features = block_features(teacher, "1", splits.train)
    options = {"steps": 60, "batch_size": 16, "learning_rate": 5e-3, "weight_decay": 0.0, "seed": 0}
    losses = distill({operator.label: candidate}, StoredFeatures(*features), **options)
    assert losses[operator.label] < 0.5
    scores = score_in_context(
        teacher,
        "1",
        operator.label,
        candidate,
        weight_bits=[2, 8],
        activation_bits=[8],
        features=features[0],
        calibration=splits.train.pixels,
        images=splits.search,
        outputs=teacher_outputs(teacher, splits.search),
        task=task,
        measure="kl",
    )
    assert scores[0][0] > scores[1][0] > 0.0
    coarse = Bits(weight=2, activation=4)
    network = assemble_quantized(teacher, {"1": candidate}, {"1": coarse}, coarse, splits.train.pixels)
    rough = task.metric(network, splits.test)
    finetune(network, teacher, splits.train, TUNING, task=task, watched=splits.search, seed=2)
    deployed = InIntegers(network)
    outcomes = task.outcomes(deployed, splits.test)
    tuned = task.metric_of(outcomes)
    assert tuned < rough
    apart, spread = task.difference(outcomes, task.outcomes(teacher, splits.test), seed=0)
    assert apart == tuned - task.metric(teacher, splits.test)
    assert 0.0 < spread < task.stderr(outcomes, seed=0) * 2


def test_float_targets_reach_the_loss_as_they_are() -> None:
    _, targets = squares(4, 1).take(torch.tensor([0, 2]))
    assert targets.dtype is torch.float32
    assert set((targets * 2).tolist()) <= {-5.0, -3.0, -1.0, 1.0, 3.0, 5.0}


def test_settings_that_regression_has_no_use_for_are_refused() -> None:
    smooth = dataclasses.replace(SETTINGS, label_smoothing=0.1)
    with pytest.raises(NetworkError, match=r"label_smoothing is for classes: regression has none"):
        TASKS.get("regression").check_settings(smooth, TUNING)
