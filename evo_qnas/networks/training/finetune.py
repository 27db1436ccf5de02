"""Quantization-aware fine-tuning of an assembled network, distilled from the teacher."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.batches import batches
from evo_qnas.data.nests import call, mapped, moved
from evo_qnas.networks.acceleration.devices import OnDevice, channels_last, to_rest, to_training
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import Task, is_better
from evo_qnas.networks.tasks.divergence import LossWatch
from evo_qnas.networks.tasks.settings import FinetuningSettings
from evo_qnas.networks.training.optimizers import learnable, quantized_optimizer


def finetune(
    network: QuantizedNetwork,
    teacher: nn.Module,
    images: Examples,
    settings: FinetuningSettings,
    *,
    task: Task,
    weights: Any = None,
    watched: Examples | None = None,
    seed: int,
    device: str = "cpu",
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Fine-tunes `network` in place: weights and the logarithms of all step sizes, Adam with a cosine rate.

    The loss is `teacher_share` x the task's distance from the teacher's outputs (its mean over images, or over the
    positions of the outputs' own resolution) x temperature squared, plus the rest x the task's loss on targets.

    Args:
        network: calibrated.
        teacher: the float teacher.
        images: train images.
        settings: how to train; `keep` is decided by `watched`, `class_balance` by `weights`.
        task: gives augmentation, distance, loss and metric.
        weights: of the loss on targets, by `Task.target_weights`.
        watched: images on which the task's metric is taken before the first and after each epoch; the best of these
            states is what `network` ends with, of equal ones the first. None: the last one.
        seed: decides order and augmentation.
        device: where to train.
        advance: called with the number of steps done.

    Raises:
        DivergenceError: a loss, or a weight at the end, is no number.

    Source: Hinton et al. 2015, distillation; Esser et al. 2020, LSQ, for learned steps.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = settings.steps(len(images))
    optimizer, schedule = quantized_optimizer(
        [network], learning_rate=settings.learning_rate, step_learning_rate=settings.step_learning_rate, steps=steps
    )
    weights = None if weights is None else weights.to(device)
    to_training(network, device)
    to_training(teacher, device).eval()
    watch = _watch(settings)
    best = None if watched is None else _Best(network, task, watched, device)
    for step, chosen in enumerate(batches(len(images), settings.batch_size, steps, generator), start=1):
        inputs, targets = task.augment(*images.take(chosen), settings, generator)
        loss = _loss(network, teacher, inputs, targets, settings, task=task, weights=weights, device=device)
        watch.add(loss)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        advance(1)
        if best is not None and step % (steps // settings.epochs) == 0:
            best.look()
    if best is not None:
        best.restore()
    network.round_halves()
    watch.finish(network)
    to_rest(network)
    to_rest(teacher)


def _watch(settings: FinetuningSettings) -> LossWatch:
    rates = f"finetuning.learning_rate = {settings.learning_rate:g} or step_learning_rate"
    return LossWatch("the fine-tuned network", f"lower {rates} = {settings.step_learning_rate:g}")


def _loss(
    network: QuantizedNetwork,
    teacher: nn.Module,
    inputs: Any,
    targets: Any,
    settings: FinetuningSettings,
    *,
    task: Task,
    weights: Any,
    device: str,
) -> torch.Tensor:
    """Loss of a batch: on the teacher's outputs and on targets."""
    inputs = mapped(channels_last, moved(inputs, device))
    with torch.no_grad():
        teacher_outputs = call(teacher, inputs)
    outputs = call(network, inputs)
    soft = task.match(outputs, teacher_outputs, temperature=settings.temperature).mean()
    hard = task.loss(outputs, moved(targets, device), weights=weights)
    share = settings.teacher_share
    return share * settings.temperature**2 * soft + (1.0 - share) * hard


@final
class _Best:
    """The best state of a network so far, by the task's metric on images that do not teach it."""

    def __init__(self, network: QuantizedNetwork, task: Task, watched: Examples, device: str) -> None:
        self._learning = [parameter for group in learnable([network]) for parameter in group]
        self._network, self._task, self._watched = OnDevice(network, device), task, watched
        self._state = self._present()
        self._value = task.metric(self._network, watched)

    def _present(self) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in self._learning]

    def look(self) -> None:
        """Keeps the present state where it is better."""
        value = self._task.metric(self._network, self._watched)
        if is_better(self._task, value, self._value):
            self._value, self._state = value, self._present()

    @torch.no_grad()
    def restore(self) -> None:
        """Puts the best state back into the network."""
        for parameter, value in zip(self._learning, self._state, strict=True):
            parameter.copy_(value)
