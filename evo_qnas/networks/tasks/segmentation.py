"""Segmentation: one label per pixel."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Bool, Float, Int
from torch import nn
from torch.nn import functional

from evo_qnas.data import IGNORE, Augmentation, Examples, Splits, augment
from evo_qnas.data.miou import confusion, mean_iou, mean_of_iou
from evo_qnas.errors import NetworkError
from evo_qnas.networks.tasks.balance import class_weights
from evo_qnas.networks.tasks.base import Task, check_logits, evaluation_batch, outcomes_of
from evo_qnas.networks.tasks.classification import divergence
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.tasks.teaching import Loss
from evo_qnas.networks.tasks.uncertainty import bootstrap_stderr, check_paired, paired_bootstrap_stderr
from evo_qnas.networks.tasks.validated_training import teach_validated


@final
class Segmentation(Task):
    """One label per pixel, (n, height, width), `IGNORE` where there is none; logits (n, classes, rows, columns).

    The metric is the mean intersection over union, as `evo_qnas.data.miou` counts it. Logits may have any resolution:
    they are up-sampled bilinearly to that of the labels, so that a network need not carry the up-sampling itself.

    Outcomes are int32, (images, classes, 3): per class pixels that are right, that are labelled so, and that are
    predicted so, ignored ones left out.
    """

    name = "segmentation"
    about = "one label per pixel; mean intersection over union"
    metric_name = "mIoU"
    unit = "%"
    maximize = True

    def check_settings(self, training: TeacherSettings, finetuning: FinetuningSettings) -> None:
        """Refuses shifts, which leave label maps behind."""
        for key, settings in (("teacher.training", training), ("finetuning", finetuning)):
            if settings.shift_pixels:
                raise NetworkError(f"{key}.shift_pixels is for classification: segmentation has {key}.augmentation")

    def check_outputs(self, outputs: Any, splits: Splits) -> None:
        """Refuses anything else than a logit for each class."""
        check_logits(outputs, len(splits.classes), axes=4)

    def training_steps(self, settings: TeacherSettings, examples: int) -> int:
        """Steps of all phases."""
        return sum(phase.steps(examples) for phase in settings.phases)

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
        """Averaged weights are validated, the state with the best mIoU is kept, see `teach_validated`."""

        def loss_of(phase: TeacherSettings) -> Loss:
            weights = class_weights(splits.train, len(splits.classes), phase.class_balance).to(device)
            return partial(self.loss, weights=weights, label_smoothing=phase.label_smoothing)

        return teach_validated(
            network,
            splits.train,
            splits.search,
            _augmented(settings),
            task=self,
            loss_of=loss_of,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            fingerprint=fingerprint,
            advance=advance,
        )

    def augment(
        self,
        inputs: Float[torch.Tensor, "n 3 h w"],
        targets: Int[torch.Tensor, "n h w"],
        settings: TeacherSettings | FinetuningSettings,
        generator: torch.Generator,
    ) -> tuple[Float[torch.Tensor, "n 3 a b"], Int[torch.Tensor, "n a b"]]:
        """Images and label maps changed together, see `data.augment`."""
        if settings.augmentation is None:
            return inputs, targets
        return augment(inputs, targets, settings.augmentation, generator)

    def target_weights(self, splits: Splits, balance: float) -> Float[torch.Tensor, " classes"] | None:
        """Weights of classes, see `class_weights`."""
        return class_weights(splits.train, len(splits.classes), balance) if balance else None

    def loss(
        self,
        outputs: Float[torch.Tensor, "n classes rows columns"],
        targets: Int[torch.Tensor, "n h w"],
        *,
        weights: Float[torch.Tensor, " classes"] | None = None,
        label_smoothing: float = 0.0,
    ) -> Float[torch.Tensor, ""]:
        """Cross-entropy over pixels, those labelled `IGNORE` left out; 0 where none is labelled."""
        if not bool((targets != IGNORE).any()):
            return outputs.sum() * 0.0
        return functional.cross_entropy(
            upsampled(outputs, tuple(targets.shape[1:])),
            targets,
            weight=weights,
            label_smoothing=label_smoothing,
            ignore_index=IGNORE,
        )

    def match(
        self,
        outputs: Float[torch.Tensor, "n classes rows columns"],
        teacher_outputs: Float[torch.Tensor, "n classes rows columns"],
        *,
        temperature: float = 1.0,
    ) -> Float[torch.Tensor, "n rows columns"]:
        """Kullback-Leibler divergence at each position of the logits' own resolution."""
        return divergence(outputs, teacher_outputs, temperature)

    def agreement(
        self,
        outputs: Float[torch.Tensor, "n classes rows columns"],
        other: Float[torch.Tensor, "n classes rows columns"],
    ) -> Bool[torch.Tensor, "n rows columns"]:
        """True at each position where the largest logit is the same."""
        return outputs.argmax(dim=1) == other.argmax(dim=1)

    def predict(
        self, logits: Float[torch.Tensor, "n classes rows columns"], size: tuple[int, ...]
    ) -> Int[torch.Tensor, "n h w"]:
        """The largest logit's class at each pixel, after up-sampling."""
        return upsampled(logits, size).argmax(dim=1)

    def outcomes(self, network: nn.Module, data: Examples) -> Int[torch.Tensor, "images classes 3"]:
        """Pixels of each class: right, labelled so, predicted so."""
        return outcomes_of(network, data, self._counts)

    def _counts(
        self, logits: Float[torch.Tensor, "n classes rows columns"], labels: Int[torch.Tensor, "n h w"]
    ) -> Int[torch.Tensor, "n classes 3"]:
        predicted = self.predict(logits, tuple(labels.shape[1:]))
        each = []
        for row in range(len(labels)):
            counts = confusion(predicted[row : row + 1], labels[row : row + 1], logits.shape[1])
            each.append(torch.stack([counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0)], dim=1).int())
        return torch.stack(each)

    def metric(self, network: nn.Module, data: Examples) -> float:
        """Mean intersection over union, 0..1."""
        return mean_iou(self.confusion(network, data))

    @torch.no_grad()
    def confusion(self, network: nn.Module, data: Examples) -> Int[torch.Tensor, "classes classes"]:
        """Number of pixels by label (row) and predicted class (column) over all images.

        Raises:
            NetworkError: there is no image.
        """
        total: torch.Tensor | None = None
        for pixels, labels in data.parts(evaluation_batch(data.sample)):
            logits = network(pixels)
            counted = confusion(self.predict(logits, tuple(labels.shape[1:])), labels, logits.shape[1])
            total = counted if total is None else total + counted
        if total is None:
            raise NetworkError("a metric needs at least one example")
        return total

    def metric_of(self, outcomes: Int[torch.Tensor, "images classes 3"]) -> float:
        """Mean intersection over union, 0..1."""
        return mean_of_iou(*outcomes.long().sum(dim=0).unbind(dim=1))

    def stderr(self, outcomes: Int[torch.Tensor, "images classes 3"], *, seed: int) -> float:
        """Spread over 200 resamples of the images."""
        return bootstrap_stderr(outcomes, self.metric_of, seed=seed)

    def difference(
        self, one: Int[torch.Tensor, "images classes 3"], other: Int[torch.Tensor, "others kinds 3"], *, seed: int
    ) -> tuple[float, float]:
        """Difference of mIoU with its spread over 200 resamples of the images, the same for both."""
        check_paired(one, other)
        spread = paired_bootstrap_stderr(one, other, self.metric_of, seed=seed)
        return self.metric_of(one) - self.metric_of(other), spread


def _augmented(settings: TeacherSettings) -> TeacherSettings:
    """The settings with `Augmentation()` wherever a card says nothing."""
    further = None if settings.full_size is None else _augmented(settings.full_size)
    return dataclasses.replace(settings, augmentation=settings.augmentation or Augmentation(), full_size=further)


def upsampled(
    logits: Float[torch.Tensor, "n classes rows columns"], size: tuple[int, ...]
) -> Float[torch.Tensor, "n classes h w"]:
    """Logits at the resolution `size`, bilinear with aligned pixel areas."""
    if tuple(logits.shape[2:]) == tuple(size):
        return logits
    return functional.interpolate(logits, size=list(size), mode="bilinear", align_corners=False)
