"""A task: one number per image."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evo_qnas.data import Examples, Splits
from evo_qnas.data.augment import shift
from evo_qnas.errors import NetworkError
from evo_qnas.networks.tasks.base import Outcomes, Task, outcomes_of
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.tasks.teaching import teach
from evo_qnas.networks.tasks.uncertainty import bootstrap_stderr, check_paired, paired_bootstrap_stderr


class Regression(Task):
    """One number per image, outputs (n, 1), targets (n,) float32; the metric is the root of the mean squared error.

    Outcomes are squared errors, (images,).
    """

    name = "regression"
    about = "one number per image; root of the mean squared error"
    metric_name = "RMSE"
    unit = ""
    maximize = False

    def check_settings(self, training: TeacherSettings, finetuning: FinetuningSettings) -> None:
        if training.label_smoothing:
            raise NetworkError("teacher.training.label_smoothing is for classes: regression has none")

    def check_outputs(self, outputs: Any, splits: Splits) -> None:
        if tuple(outputs.shape[1:]) != (1,):
            raise NetworkError(f"regression needs one output, the teacher has {tuple(outputs.shape[1:])}")

    def training_steps(self, settings: TeacherSettings, examples: int) -> int:
        return settings.steps(examples)

    def train_teacher(
        self,
        network: nn.Module,
        splits: Splits,
        settings: TeacherSettings,
        *,
        seed: int,
        device: str = "cpu",
        checkpoint: Path | None = None,
        fingerprint: str = "",
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[float]:
        learn = partial(teach, loss=self.loss, augment=self.augment, seed=seed, device=device, advance=advance)
        learn(network, splits.train, settings)
        return [self.metric(network, splits.search)]

    def augment(self, inputs: Any, targets: Any, settings: Any, generator: torch.Generator) -> tuple[Any, Any]:
        return shift(inputs, settings.shift_pixels, generator), targets

    def target_weights(self, splits: Splits, balance: float) -> None:
        return None

    def loss(self, outputs: Any, targets: Any, *, weights: Any = None) -> torch.Tensor:
        return (outputs[:, 0] - targets).square().mean()

    def match(self, outputs: Any, teacher_outputs: Any, *, temperature: float = 1.0) -> torch.Tensor:
        return (outputs - teacher_outputs).square()[:, 0]

    def agreement(self, outputs: Any, other: Any) -> torch.Tensor:
        return (outputs - other).abs()[:, 0] < 0.5

    def outcomes(self, network: nn.Module, data: Examples) -> Outcomes:
        return outcomes_of(network, data, lambda outputs, targets: (outputs[:, 0] - targets).square())

    def metric(self, network: nn.Module, data: Examples) -> float:
        return self.metric_of(self.outcomes(network, data))

    def metric_of(self, outcomes: Outcomes) -> float:
        return float(outcomes.double().mean().sqrt())

    def stderr(self, outcomes: Outcomes, *, seed: int) -> float:
        return bootstrap_stderr(outcomes, self.metric_of, seed=seed)

    def difference(self, one: Outcomes, other: Outcomes, *, seed: int) -> tuple[float, float]:
        check_paired(one, other)
        spread = paired_bootstrap_stderr(one, other, self.metric_of, seed=seed)
        return self.metric_of(one) - self.metric_of(other), spread
