"""Classification: one label per image."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import nn
from torch.nn import functional

from evo_qnas.data import Examples, Splits
from evo_qnas.data.augment import shift
from evo_qnas.errors import NetworkError
from evo_qnas.networks.tasks.balance import class_weights
from evo_qnas.networks.tasks.base import Task, check_logits, evaluation_batch, outcomes_of
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.tasks.teaching import teach
from evo_qnas.networks.tasks.uncertainty import binomial_stderr, check_paired, mcnemar_stderr


@torch.no_grad()
def accuracy(network: nn.Module, data: Examples) -> float:
    """Share of the images whose largest logit is their label, 0..1."""
    right = 0
    for pixels, labels in data.parts(evaluation_batch(data.sample)):
        right += int((network(pixels).argmax(dim=1) == labels).sum())
    return right / len(data)


def divergence(
    logits: Float[torch.Tensor, "n classes *positions"],
    teacher_logits: Float[torch.Tensor, "n classes *positions"],
    temperature: float,
) -> Float[torch.Tensor, "n *positions"]:
    """Kullback-Leibler divergence of softened probabilities from the teacher's, over the classes.

    Source: Hinton et al. 2015, Distilling the knowledge in a neural network, section 2.
    """
    target = functional.log_softmax(teacher_logits / temperature, dim=1)
    output = functional.log_softmax(logits / temperature, dim=1)
    return functional.kl_div(output, target, reduction="none", log_target=True).sum(dim=1)


@final
class Classification(Task):
    """One label per image; logits (n, classes), labels (n,). The metric is the share of right ones.

    Outcomes are int32, (images,): 1 where the label is the class with the largest logit.
    """

    name = "classification"
    about = "one label per image; accuracy"
    metric_name = "accuracy"
    unit = "%"
    maximize = True

    def check_settings(self, training: TeacherSettings, finetuning: FinetuningSettings) -> None:
        """Refuses augmentation of label maps."""
        for key, settings in (("teacher.training", training), ("finetuning", finetuning)):
            if settings.augmentation is not None:
                raise NetworkError(f"{key}.augmentation is for segmentation: classification has {key}.shift_pixels")

    def check_outputs(self, outputs: Any, splits: Splits) -> None:
        """Refuses anything else than a logit for each class."""
        check_logits(outputs, len(splits.classes), axes=2)

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
        """AdamW over one cycle, cross-entropy; nothing is validated and no checkpoint written."""
        loss = partial(self.loss, label_smoothing=settings.label_smoothing)
        teach(
            network, splits.train, settings, loss=loss, augment=self.augment, seed=seed, device=device, advance=advance
        )
        return []

    def augment(
        self,
        inputs: Float[torch.Tensor, "n c h w"],
        targets: Int[torch.Tensor, " n"],
        settings: TeacherSettings | FinetuningSettings,
        generator: torch.Generator,
    ) -> tuple[Float[torch.Tensor, "n c h w"], Int[torch.Tensor, " n"]]:
        """Images shifted by up to `shift_pixels`."""
        return shift(inputs, settings.shift_pixels, generator), targets

    def target_weights(self, splits: Splits, balance: float) -> Float[torch.Tensor, " classes"] | None:
        """Weights of classes, see `class_weights`."""
        return class_weights(splits.train, len(splits.classes), balance) if balance else None

    def loss(
        self,
        outputs: Float[torch.Tensor, "n classes"],
        targets: Int[torch.Tensor, " n"],
        *,
        weights: Float[torch.Tensor, " classes"] | None = None,
        label_smoothing: float = 0.0,
    ) -> Float[torch.Tensor, ""]:
        """Cross-entropy."""
        return functional.cross_entropy(outputs, targets, weight=weights, label_smoothing=label_smoothing)

    def match(
        self,
        outputs: Float[torch.Tensor, "n classes"],
        teacher_outputs: Float[torch.Tensor, "n classes"],
        *,
        temperature: float = 1.0,
    ) -> Float[torch.Tensor, " n"]:
        """Kullback-Leibler divergence of each image."""
        return divergence(outputs, teacher_outputs, temperature)

    def agreement(
        self, outputs: Float[torch.Tensor, "n classes"], other: Float[torch.Tensor, "n classes"]
    ) -> Bool[torch.Tensor, " n"]:
        """True where the largest logit is the same."""
        return outputs.argmax(dim=1) == other.argmax(dim=1)

    def outcomes(self, network: nn.Module, data: Examples) -> Int[torch.Tensor, " images"]:
        """1 for each image whose label has the largest logit."""
        return outcomes_of(network, data, lambda logits, labels: (logits.argmax(dim=1) == labels).int())

    def metric(self, network: nn.Module, data: Examples) -> float:
        """Accuracy, 0..1."""
        return accuracy(network, data)

    def metric_of(self, outcomes: Int[torch.Tensor, " images"]) -> float:
        """Accuracy, 0..1."""
        return int(outcomes.sum()) / len(outcomes)

    def stderr(self, outcomes: Int[torch.Tensor, " images"], *, seed: int) -> float:
        """Binomial standard error; nothing is drawn."""
        return binomial_stderr(outcomes)

    def difference(
        self, one: Int[torch.Tensor, " images"], other: Int[torch.Tensor, " others"], *, seed: int
    ) -> tuple[float, float]:
        """Difference of accuracies with the standard error of McNemar's test; nothing is drawn."""
        check_paired(one, other)
        return self.metric_of(one) - self.metric_of(other), mcnemar_stderr(one, other)
