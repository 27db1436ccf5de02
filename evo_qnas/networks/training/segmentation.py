"""Training a segmentation teacher: augmentation, class weights, averaged weights, the best state, checkpoints."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data import Images, class_frequencies
from evo_qnas.data.augment import Augmentation, augment
from evo_qnas.networks.acceleration.convolutions import fast_convolutions
from evo_qnas.networks.acceleration.devices import OnDevice, Precision, autocast, channels_last, to_rest, to_training
from evo_qnas.networks.models.weights import load_weights, read_metadata, save_weights
from evo_qnas.networks.tasks.base import Segmentation

_LEAST_FREQUENCY = 1e-3
_PREFIXES = ("network", "average", "best", "optimizer")


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationTraining:
    """How a segmentation teacher is trained.

    Attributes:
        epochs: passes over the images.
        batch_size: images per step.
        learning_rate: highest rate of AdamW, one cycle.
        weight_decay: decoupled weight decay.
        label_smoothing: 0..1.
        class_balance: weights of classes are (median frequency / frequency) ** class_balance; 0 weighs all alike.
        average: decay per step of the averaged weights that are validated and kept; 0 keeps the last weights.
        validate_every: epochs between validations.
        augmentation: of every batch.
        precision: of convolutions and products of matrices, see `networks.devices.autocast`.
        full_size: how to go on from the best state, on images of the size that is tested; None ends here.

    Source: Touvron et al. 2019, Fixing the train-test resolution discrepancy, for `full_size`; we train all layers on.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float = 0.0
    class_balance: float = 0.5
    average: float = 0.99
    validate_every: int = 5
    augmentation: Augmentation = dataclasses.field(default_factory=Augmentation)
    precision: Precision = "float32"
    full_size: "SegmentationTraining | None" = None

    @property
    def phases(self) -> "tuple[SegmentationTraining, ...]":
        """This, then what follows."""
        return (self,) if self.full_size is None else (self, *self.full_size.phases)


def class_weights(images: Images, classes: int, balance: float) -> Float[torch.Tensor, " classes"]:
    """(classes,) (median frequency / frequency) ** balance over the pixels of the images, mean 1 over classes.

    A class rarer than a thousandth of all pixels counts as that frequent; one that is absent has weight 1.

    Source: Eigen & Fergus 2015, section 4.3, for median frequencies; the exponent is ours.
    """
    frequency = torch.from_numpy(class_frequencies(images, classes))
    seen = frequency > 0
    frequency = frequency.clamp_min(_LEAST_FREQUENCY)
    weights = (frequency[seen].median() / frequency) ** balance
    weights[~seen] = 1.0
    return (weights / weights[seen].mean()).float()


def train_segmenter(
    network: nn.Module,
    images: Images,
    validation: Images,
    *,
    classes: int,
    settings: SegmentationTraining,
    seed: int,
    device: str = "cpu",
    checkpoint: Path | None = None,
    fingerprint: str = "",
    advance: Callable[[int], None] = lambda _: None,
) -> list[float]:
    """Trains `network` in place and leaves the state with the best mIoU on `validation`; gives every mIoU measured.

    Order and augmentation of an epoch depend on the seed and its number alone, so that training goes on from a
    checkpoint as if it had never stopped.

    Args:
        network: gives logits (n, classes, rows, columns) of any resolution.
        images: what to learn from.
        validation: chooses the state to keep.
        classes: number of classes.
        settings: how to train.
        seed: decides order and augmentation.
        device: where to train.
        checkpoint: file that holds the state after each validation and is deleted at the end; None for no checkpoints.
        fingerprint: a checkpoint of another fingerprint is not continued.
        advance: called with the number of steps done.
    """
    first = 0
    history: list[float] = []
    for phase, plan in enumerate(settings.phases):
        run = _Run(network, images, classes, plan, device, phase=phase, history=history)
        done = run.restore(checkpoint, fingerprint)
        advance(done * run.steps)
        if done == 0 and phase and checkpoint is not None:
            run.save(checkpoint, fingerprint, 0)
        for epoch in range(done, plan.epochs):
            run.epoch(seed + first + epoch, advance)
            if (epoch + 1) % plan.validate_every == 0 or epoch + 1 == plan.epochs:
                run.validate(validation)
                if checkpoint is not None:
                    run.save(checkpoint, fingerprint, epoch + 1)
        network.load_state_dict(run.best)
        first, history = first + plan.epochs, run.history
    to_rest(network)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return history


class _Run:
    """The state of one phase of a training."""

    def __init__(
        self,
        network: nn.Module,
        images: Images,
        classes: int,
        settings: SegmentationTraining,
        device: str,
        *,
        phase: int,
        history: list[float],
    ) -> None:
        self.network, self.images, self.settings, self.device = network, images, settings, device
        self.size = min(settings.batch_size, len(images))
        self.steps = len(images) // self.size
        self.weights = class_weights(images, classes, settings.class_balance).to(device)
        to_training(network, device)
        self.average = copy.deepcopy(network)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=settings.learning_rate, total_steps=settings.epochs * self.steps
        )
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
                self._steps(order, generator, advance)

    def _steps(self, order: torch.Tensor, generator: torch.Generator, advance: Callable[[int], None]) -> None:
        for step in range(self.steps):
            pixels, labels = self.images.take(order[step * self.size : (step + 1) * self.size])
            pixels, labels = augment(pixels, labels, self.settings.augmentation, generator)
            pixels = channels_last(pixels.to(self.device))
            with autocast(self.settings.precision, self.device):
                logits = self.network(pixels)
            loss = Segmentation().loss(
                logits.float(),
                labels.to(self.device),
                class_weights=self.weights,
                label_smoothing=self.settings.label_smoothing,
            )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            self._average()
            advance(1)

    @torch.no_grad()
    def _average(self) -> None:
        """Moves the averaged weights towards the present ones; faster in the first steps."""
        count = int(self.schedule.last_epoch)
        decay = min(self.settings.average, count / (count + 10.0)) if self.settings.average else 0.0
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1.0 - decay)
            else:
                mine.copy_(theirs)

    def validate(self, images: Images) -> None:
        """Measures the averaged weights and keeps them where they are the best so far."""
        self.average.eval()
        value = Segmentation().metric(OnDevice(self.average, self.device), images)
        if not self.history or value > max(self.history):
            self.best = _copied(self.average.state_dict())
        self.history.append(value)

    def save(self, path: Path, fingerprint: str, epochs: int) -> None:
        """Everything that training goes on from, in one safetensors file."""
        states = {"network": self.network.state_dict(), "average": self.average.state_dict(), "best": self.best}
        tensors = {f"{kind}/{name}": value for kind, state in states.items() for name, value in state.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
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
        tensors, _ = load_weights(path)
        if phase > self.phase:
            self.best = {key.removeprefix("best/"): value for key, value in tensors.items() if key.startswith("best/")}
            return self.settings.epochs
        states: dict[str, dict[str, torch.Tensor]] = {kind: {} for kind in _PREFIXES}
        for key, value in tensors.items():
            kind, _, name = key.partition("/")
            states[kind][name] = value
        self.network.load_state_dict(states["network"])
        self.average.load_state_dict(states["average"])
        self.best = states["best"]
        own = self.optimizer.state_dict()
        for key, value in states["optimizer"].items():
            index, _, name = key.partition("/")
            own["state"].setdefault(int(index), {})[name] = value
        epochs = int(metadata["epochs"])
        for _ in range(epochs * self.steps):
            self.optimizer._opt_called = True  # type: ignore[attr-defined]  # else the schedule warns of its order
            self.schedule.step()
        own["param_groups"] = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict(own)
        self.history = [float.fromhex(value) for value in metadata["history"].split()]
        return epochs


def _copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same state, on the CPU and on its own."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}
