"""Training of teachers, as all tasks share it: AdamW over one cycle, and one pass of a loop."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.batches import batches
from evo_qnas.data.nests import call, mapped, moved
from evo_qnas.networks.acceleration.devices import autocast, channels_last, to_rest, to_training
from evo_qnas.networks.tasks.divergence import LossWatch
from evo_qnas.networks.tasks.settings import TeacherSettings

Loss = Callable[[Any, Any], torch.Tensor]
Augment = Callable[[Any, Any, TeacherSettings, torch.Generator], tuple[Any, Any]]


@final
class Teaching:
    """AdamW with one cycle of a cosine learning rate, and the step that it takes on a batch.

    Attributes:
        optimizer: of all parameters of the network.
        schedule: of its rate.
        watch: refuses losses and weights that are no numbers.
    """

    def __init__(
        self, network: nn.Module, settings: TeacherSettings, loss: Loss, augment: Augment, *, steps: int, device: str
    ) -> None:
        """Moves the network to the device.

        Args:
            network: learns in place.
            settings: rates, precision and augmentation.
            loss: of outputs (float32) and targets.
            augment: of a batch.
            steps: of the whole cycle.
            device: where to train.
        """
        self._network, self._settings, self._device = to_training(network, device), settings, device
        self._loss, self._augment = loss, augment
        remedy = f"lower teacher.training.learning_rate = {settings.learning_rate:g}, or look at the images"
        self.watch = LossWatch("the teacher", remedy)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=settings.learning_rate, total_steps=steps
        )

    def step(self, images: Examples, chosen: torch.Tensor, generator: torch.Generator) -> None:
        """One step on the chosen images.

        Raises:
            DivergenceError: the loss is no number.
        """
        inputs, targets = self._augment(*images.take(chosen), self._settings, generator)
        inputs = mapped(channels_last, moved(inputs, self._device))
        with autocast(self._settings.precision, self._device):
            outputs = call(self._network, inputs)
        loss = self._loss(mapped(_float32, outputs), moved(targets, self._device))
        self.watch.add(loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()


def _float32(values: torch.Tensor) -> torch.Tensor:
    """Values that autocast made narrow, in float32 again."""
    return values.float() if values.is_floating_point() else values


def teach(
    network: nn.Module,
    images: Examples,
    settings: TeacherSettings,
    *,
    loss: Loss,
    augment: Augment,
    seed: int,
    device: str = "cpu",
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Trains `network` in place over one cycle and leaves its last state; without validation and checkpoints.

    Args:
        network: gives one tensor.
        images: what to learn from.
        settings: how to train.
        loss: of outputs (float32) and targets.
        augment: of a batch, such as `Task.augment`.
        seed: decides order and augmentation.
        device: where to train.
        advance: called with the number of steps done.

    Raises:
        DivergenceError: a loss, or a weight at the end, is no number.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = settings.steps(len(images))
    teaching = Teaching(network, settings, loss, augment, steps=steps, device=device)
    network.train()
    for chosen in batches(len(images), settings.batch_size, steps, generator):
        teaching.step(images, chosen, generator)
        advance(1)
    teaching.watch.finish(network)
    to_rest(network)
