"""A task made of a metric, a loss and a distance from the teacher: any that a user can say."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data import Examples, Splits
from evo_qnas.data.nests import Nest, Structure, call, leaves
from evo_qnas.errors import NetworkError
from evo_qnas.metrics import Metric
from evo_qnas.metrics.metric import outcomes_of
from evo_qnas.networks.tasks.agreeing import agreement_with
from evo_qnas.networks.tasks.base import Outcomes, Task, evaluation_batch
from evo_qnas.networks.tasks.distances import Distance, distances_of
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.tasks.teaching import teach
from evo_qnas.networks.tasks.uncertainty import (
    binomial_stderr,
    bootstrap_stderr,
    check_paired,
    mcnemar_stderr,
    paired_bootstrap_stderr,
)

Predict = Callable[[Any], Any]
AnyMetric = Metric | Callable[[Predict, Examples], Any]


@final
@dataclass(frozen=True, kw_only=True)
class MeasuredTask(Task):
    """Any task: classes, labels, numbers, maps, boxes, with or without targets.

    A metric that gives one number has no standard error; one that gives a number for each example has, and so has a
    `Metric`. Where there are no targets the metric is agreement with the teacher.

    Attributes:
        measure: the metric.
        criterion: loss of outputs and targets; None learns from the teacher alone.
        distances: from the teacher's outputs, one for each tensor; None for those that fit the metric.
        structure: of the model's outputs, in which metric and loss get them; None for one tensor.
        teacher: the float model, where there are no targets.
        metric_name: in words.
        unit: of the metric.
        maximize: a larger metric is a better one.
    """

    measure: AnyMetric
    criterion: Callable[[Any, Any], torch.Tensor] | None = None
    distances: tuple[Distance, ...] | None = None
    structure: Structure | None = None
    teacher: nn.Module | None = None
    metric_name: str = ""
    unit: str = ""
    maximize: bool = True
    name: str = "measured"
    about: str = "a metric, a loss and a distance from the teacher of the user's"

    def restored(self, outputs: Nest) -> Any:
        """Outputs as the model itself gives them."""
        return outputs if self.structure is None else self.structure.restored(outputs)

    def check_settings(self, training: TeacherSettings, finetuning: FinetuningSettings) -> None:
        """Refuses augmentation of images: what the examples are is the user's alone."""
        for key, settings in (("teacher.training", training), ("finetuning", finetuning)):
            if settings.shift_pixels or settings.augmentation is not None:
                raise NetworkError(f"{key} cannot change examples of this task: let the data set do so")

    def check_outputs(self, outputs: Any, splits: Splits) -> None:
        """Refuses outputs without tensors."""
        if not leaves(outputs):
            raise NetworkError(f"the model gives a {type(outputs).__name__} without tensors")

    def training_steps(self, settings: TeacherSettings, examples: int) -> int:
        """Steps of the one phase."""
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
        """AdamW over one cycle on the loss; nothing is validated and no checkpoint written."""
        learn = partial(teach, loss=self.loss, augment=self.augment, seed=seed, device=device, advance=advance)
        learn(network, splits.train, settings)
        return []

    def augment(
        self, inputs: Any, targets: Any, settings: TeacherSettings | FinetuningSettings, generator: torch.Generator
    ) -> tuple[Any, Any]:
        """The batch as it is."""
        return inputs, targets

    def target_weights(self, splits: Splits, balance: float) -> None:
        """None."""
        return

    def loss(self, outputs: Any, targets: Any, *, weights: Any = None) -> Float[torch.Tensor, ""]:
        """The mean of what the loss gives; 0 without one."""
        if self.criterion is None:
            return leaves(outputs)[0].sum() * 0.0
        return self.criterion(self.restored(outputs), targets).float().mean()

    def match(self, outputs: Any, teacher_outputs: Any, *, temperature: float = 1.0) -> Float[torch.Tensor, " n"]:
        """Sum of the outputs' distances, for each example."""
        target = leaves(teacher_outputs)
        pairs = zip(self._distances(teacher_outputs), leaves(outputs), target, strict=True)
        return torch.stack([distance.of(output, other, temperature) for distance, output, other in pairs]).sum(dim=0)

    def agreement(self, outputs: Any, other: Any) -> Float[torch.Tensor, " n"]:
        """Mean of the outputs' agreement, for each example."""
        pairs = zip(self._distances(other), leaves(outputs), leaves(other), strict=True)
        return torch.stack([distance.agreement(one, two) for distance, one, two in pairs]).mean(dim=0)

    def _distances(self, outputs: Any) -> tuple[Distance, ...]:
        if self.distances is not None:
            return self.distances
        return distances_of("auto", outputs, logits=isinstance(self.measure, Metric) and self.measure.logits)

    @torch.no_grad()
    def outcomes(self, network: nn.Module, data: Examples) -> Outcomes:
        """What the metric says of each example, or one number for all, (1,)."""
        measure = self._measure
        if isinstance(measure, Metric):
            pairs = self._pairs(network, data)
            return outcomes_of(measure, ((self.restored(outputs), targets) for outputs, targets in pairs))
        value = measure(lambda inputs: self.restored(call(network, inputs)), data)
        found = torch.as_tensor(np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value)).double()
        return found.reshape(1) if found.ndim == 0 else found

    @property
    def _measure(self) -> AnyMetric:
        """The metric, or agreement with the teacher where there are no targets."""
        return self.measure if self.teacher is None else agreement_with(self._distances)

    def _pairs(self, network: nn.Module, data: Examples) -> Iterator[tuple[Any, Any]]:
        """Outputs and targets of every batch; without targets those of the teacher."""
        for inputs, targets in data.parts(evaluation_batch(data.sample)):
            yield call(network, inputs), (targets if self.teacher is None else call(self.teacher, inputs))

    def metric(self, network: nn.Module, data: Examples) -> float:
        """The metric of the outcomes."""
        return self.metric_of(self.outcomes(network, data))

    def metric_of(self, outcomes: Outcomes) -> float:
        """Their reduction; the mean where the metric is a function."""
        measure = self._measure
        return measure.reduce(outcomes) if isinstance(measure, Metric) else float(outcomes.double().mean())

    def stderr(self, outcomes: Outcomes, *, seed: int) -> float | None:
        """Of shares binomial, of means the deviation over the root of their number, else over 200 resamples."""
        if self._is_single(outcomes):
            return None
        if not self._is_mean(outcomes):
            return bootstrap_stderr(outcomes, self.metric_of, seed=seed)
        if not outcomes.is_floating_point():
            return binomial_stderr(outcomes)
        return float(outcomes.double().std() / len(outcomes) ** 0.5)

    def difference(self, one: Outcomes, other: Outcomes, *, seed: int) -> tuple[float, float | None]:
        """Difference of the metrics with its paired standard error."""
        check_paired(one, other)
        apart = self.metric_of(one) - self.metric_of(other)
        if self._is_single(one):
            return apart, None
        if not self._is_mean(one):
            return apart, paired_bootstrap_stderr(one, other, self.metric_of, seed=seed)
        if not one.is_floating_point() and not other.is_floating_point():
            return apart, mcnemar_stderr(one, other)
        return apart, float((one.double() - other.double()).std() / len(one) ** 0.5)

    def _is_single(self, outcomes: Outcomes) -> bool:
        """True where there is nothing to tell a standard error from."""
        return len(outcomes) < 2

    def _is_mean(self, outcomes: Outcomes) -> bool:
        measure = self._measure
        return measure.is_mean(outcomes) if isinstance(measure, Metric) else outcomes.ndim == 1
