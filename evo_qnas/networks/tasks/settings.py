"""Settings of training, as plain values: of a teacher, and of a quantized network."""

from dataclasses import dataclass
from typing import Literal, final

from evo_qnas.data.augment import Augmentation
from evo_qnas.networks.acceleration.devices import Precision


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSettings:
    """Training of a teacher. A task uses what concerns it and refuses what cannot be meant for it.

    Attributes:
        epochs: passes over the images.
        batch_size: images per step.
        learning_rate: highest rate of AdamW, one cycle.
        weight_decay: decoupled weight decay.
        label_smoothing: 0..1.
        shift_pixels: augmentation of images with one label, see `data.augment.shift`.
        class_balance: weights of classes are (median frequency / frequency) ** class_balance; 0 weighs all alike.
        average: decay per step of the averaged weights that are validated and kept; 0 keeps the last weights.
        validate_every: epochs between validations.
        augmentation: of images with label maps, None for the task's own default.
        precision: of convolutions and products of matrices, see `acceleration.devices.autocast`.
        full_size: how to go on from the best state, on images of the size that is tested; None ends here.

    Source: Touvron et al. 2019, Fixing the train-test resolution discrepancy, for `full_size`; we train all layers on.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float = 0.0
    shift_pixels: int = 0
    class_balance: float = 0.5
    average: float = 0.99
    validate_every: int = 5
    augmentation: Augmentation | None = None
    precision: Precision = "float32"
    full_size: "TeacherSettings | None" = None

    @property
    def phases(self) -> "tuple[TeacherSettings, ...]":
        """These settings, then those of what follows."""
        return (self,) if self.full_size is None else (self, *self.full_size.phases)

    def steps(self, examples: int) -> int:
        """Training steps of this phase alone on so many examples; an incomplete batch at the end is left out."""
        return self.epochs * max(1, examples // min(self.batch_size, examples))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuningSettings:
    """Quantization-aware fine-tuning of an assembled network, see `training.finetune`.

    Attributes:
        epochs: passes over the images.
        batch_size: images per step.
        learning_rate: highest rate of weights and biases.
        step_learning_rate: highest rate of the logarithms of step sizes.
        temperature: softening of the outputs of network and teacher.
        teacher_share: weight of the distance from the teacher's outputs, 0..1; the rest is that of the task's loss.
        shift_pixels: as in `TeacherSettings`.
        class_balance: as in `TeacherSettings`.
        augmentation: as in `TeacherSettings`; None for none.
        keep: `last` state, or of those before the first and after each epoch the `best` in the metric.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    step_learning_rate: float
    temperature: float
    teacher_share: float
    shift_pixels: int = 0
    class_balance: float = 0.0
    augmentation: Augmentation | None = None
    keep: Literal["last", "best"] = "last"

    def steps(self, examples: int) -> int:
        """Training steps on so many examples; an incomplete batch at the end is left out."""
        return self.epochs * max(1, examples // min(self.batch_size, examples))
