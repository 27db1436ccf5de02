"""Training of a teacher with averaged weights, validation, the best state, and checkpoints."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import final

import torch
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.networks.acceleration.convolutions import fast_convolutions
from evo_qnas.networks.acceleration.devices import OnDevice, to_rest
from evo_qnas.networks.models.weights import load_weights, read_metadata, save_weights
from evo_qnas.networks.tasks.base import Task, is_better
from evo_qnas.networks.tasks.settings import TeacherSettings
from evo_qnas.networks.tasks.teaching import Loss, Teaching

_PREFIXES = ("network", "average", "best", "optimizer")
# After n steps the decay is n / (n + 10), at most `average`: fresh weights leave the average within the first steps.
_WARMUP_STEPS = 10.0


def teach_validated(
    network: nn.Module,
    images: Examples,
    validation: Examples,
    settings: TeacherSettings,
    *,
    task: Task,
    loss_of: Callable[[TeacherSettings], Loss],
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    fingerprint: str = "",
    advance: Callable[[int], None] = lambda _: None,
) -> list[float]:
    """Trains `network` in place, leaves the state with the best metric on `validation`, gives every metric measured.

    Order and augmentation of an epoch depend on the seed and its number alone, so that training goes on from a
    checkpoint as if it had never stopped.

    Args:
        network: gives one tensor.
        images: what to learn from.
        validation: chooses the state to keep.
        settings: how to train.
        task: gives metric and augmentation.
        loss_of: the loss of a phase.
        seed: decides order and augmentation.
        device: where to train.
        checkpoint: file that holds the state after each validation and is deleted at the end; None for no checkpoints.
        fingerprint: a checkpoint of another fingerprint is not continued.
        advance: called with the number of steps done.

    Raises:
        DivergenceError: a loss, or a weight at a validation, is no number.
    """
    first = 0
    history: list[float] = []
    for phase, plan in enumerate(settings.phases):
        run = _Run(network, images, plan, device, task=task, loss=loss_of(plan), phase=phase, history=history)
        done = run.restore(checkpoint, fingerprint)
        advance(done * run.steps)
        if done == 0 and phase and checkpoint is not None:
            run.save(checkpoint, fingerprint, 0)
        for epoch in range(done, plan.epochs):
            run.epoch(seed + first + epoch, advance)
            if (epoch + 1) % plan.validate_every == 0 or epoch + 1 == plan.epochs:
                run.teaching.watch.finish(network)
                run.validate(validation)
                if checkpoint is not None:
                    run.save(checkpoint, fingerprint, epoch + 1)
        network.load_state_dict(run.best)
        first, history = first + plan.epochs, run.history
    to_rest(network)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return history


@final
class _Run:
    """The state of one phase of a training."""

    def __init__(
        self,
        network: nn.Module,
        images: Examples,
        settings: TeacherSettings,
        device: str,
        *,
        task: Task,
        loss: Loss,
        phase: int,
        history: list[float],
    ) -> None:
        self.network, self.images, self.settings, self.device, self.task = network, images, settings, device, task
        self.size = min(settings.batch_size, len(images))
        self.steps = len(images) // self.size
        total = settings.epochs * self.steps
        self.teaching = Teaching(network, settings, loss, task.augment, steps=total, device=device)
        self.average = copy.deepcopy(network)
        self.best = _copied(network.state_dict())
        self.phase, self.history = phase, list(history)

    def epoch(self, seed: int, advance: Callable[[int], None]) -> None:
        """One pass over the images."""
        generator = torch.Generator().manual_seed(seed % 2**63)
        order = torch.randperm(len(self.images), generator=generator)
        self.network.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.startswith("cuda") else []):
            torch.manual_seed(seed % 2**63)  # of dropout
            with fast_convolutions([self.network]):
                for step in range(self.steps):
                    self.teaching.step(self.images, order[step * self.size : (step + 1) * self.size], generator)
                    self._average()
                    advance(1)

    @torch.no_grad()
    def _average(self) -> None:
        """Moves the averaged weights towards the present ones; faster in the first steps."""
        count = int(self.teaching.schedule.last_epoch)
        decay = min(self.settings.average, count / (count + _WARMUP_STEPS)) if self.settings.average else 0.0
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1.0 - decay)
            else:
                mine.copy_(theirs)

    def validate(self, images: Examples) -> None:
        """Measures the averaged weights and keeps them where they are the best so far."""
        self.average.eval()
        value = self.task.metric(OnDevice(self.average, self.device), images)
        if all(is_better(self.task, value, other) for other in self.history):
            self.best = _copied(self.average.state_dict())
        self.history.append(value)

    def save(self, path: Path, fingerprint: str, epochs: int) -> None:
        """Writes everything that training goes on from into one safetensors file."""
        states = {"network": self.network.state_dict(), "average": self.average.state_dict(), "best": self.best}
        tensors = {f"{kind}/{name}": value for kind, state in states.items() for name, value in state.items()}
        for index, state in self.teaching.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value for name, value in state.items()}
        history = " ".join(value.hex() for value in self.history)
        known = {"fingerprint": fingerprint, "phase": str(self.phase), "epochs": str(epochs), "history": history}
        save_weights(tensors, path, known)

    def restore(self, path: Path | None, fingerprint: str) -> int:
        """Goes on from a checkpoint of the same fingerprint; gives the number of this phase's epochs that are done.

        Of a phase that the checkpoint is beyond all are done, and its best state is that of the checkpoint.
        """
        metadata = read_metadata(path) if path is not None and path.is_file() else None
        if path is None or metadata is None or metadata.get("fingerprint") != fingerprint:
            return 0
        phase = int(metadata.get("phase", "0"))
        if phase < self.phase:
            return 0
        states: dict[str, dict[str, torch.Tensor]] = {kind: {} for kind in _PREFIXES}
        for key, value in load_weights(path)[0].items():
            kind, _, name = key.partition("/")
            states[kind][name] = value
        self.best = states["best"]
        if phase > self.phase:
            return self.settings.epochs
        self.network.load_state_dict(states["network"])
        self.average.load_state_dict(states["average"])
        epochs = int(metadata["epochs"])
        self._restore_optimizer(states["optimizer"], epochs * self.steps)
        self.history = [float.fromhex(value) for value in metadata["history"].split()]
        return epochs

    def _restore_optimizer(self, tensors: dict[str, torch.Tensor], steps: int) -> None:
        """The optimizer's state after so many steps, and its rate by the schedule."""
        optimizer = self.teaching.optimizer
        own = optimizer.state_dict()
        for key, value in tensors.items():
            index, _, name = key.partition("/")
            own["state"].setdefault(int(index), {})[name] = value
        for _ in range(steps):
            optimizer._opt_called = True  # type: ignore[attr-defined]  # else the schedule warns of its order
            self.teaching.schedule.step()
        own["param_groups"] = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict(own)


def _copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same state, on the CPU and on its own."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}
