"""The sections of a problem card about what learns: teacher, candidates, chosen networks."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from evo_qnas.cards import Card
from evo_qnas.data import Augmentation
from evo_qnas.networks.acceleration.devices import Precision
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.networks.training.features import FeatureSettings

# Products of two such numbers still fit 64 bits.
Count = Annotated[int, Field(ge=1, le=10**9)]
Rate = Annotated[float, Field(gt=0.0)]
Amount = Annotated[float, Field(ge=0.0)]


class AugmentationCard(Card):
    """`[teacher.training.augmentation]`, `[finetuning.augmentation]`: see `data.augment.Augmentation`.

    Attributes:
        flip: mirror left and right, half of the images.
        scale: smallest and largest factor of size.
        crop: height and width of a random crop, in pixels; None for the whole image.
        brightness: most that is added to or taken from all pixels, in deviations of normalised pixels.
        contrast: distances from the image's mean grey are multiplied by 1 - contrast .. 1 + contrast.
        saturation: distances from each pixel's own grey are multiplied by 1 - saturation .. 1 + saturation.
    """

    flip: bool = True
    scale: Annotated[list[Rate], Field(min_length=2, max_length=2)] = [1.0, 1.0]
    crop: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None
    brightness: Amount = 0.0
    contrast: Amount = 0.0
    saturation: Amount = 0.0

    @property
    def values(self) -> Augmentation:
        """The same as a plain value."""
        return Augmentation(
            flip=self.flip,
            scale=(self.scale[0], self.scale[1]),
            crop=None if self.crop is None else (self.crop[0], self.crop[1]),
            brightness=self.brightness,
            contrast=self.contrast,
            saturation=self.saturation,
        )


def _whole_images(augmentation: AugmentationCard) -> AugmentationCard:
    """Refuses crops where images keep their size."""
    if augmentation.crop is not None:
        raise ValueError(f"images keep their size here, leave out crop = {augmentation.crop}")
    return augmentation


class FullSizeTraining(Card):
    """`[teacher.training.full_size]`: how a segmentation teacher goes on from its best state, on whole images.

    Attributes:
        epochs: passes over the train images.
        learning_rate: highest rate of the weights.
        augmentation: of the images, without crops.
    """

    epochs: Count
    learning_rate: Rate
    augmentation: AugmentationCard = AugmentationCard()

    @field_validator("augmentation")
    @classmethod
    def _whole(cls, augmentation: AugmentationCard) -> AugmentationCard:
        return _whole_images(augmentation)


class TeacherTraining(Card):
    """`[teacher.training]`: see `networks.tasks.settings.TeacherSettings`; each task says what it uses.

    Attributes:
        epochs: passes over the train images.
        batch_size: images of one step.
        learning_rate: highest rate of the weights.
        weight_decay: of AdamW, decoupled.
        shift_pixels: largest random shift of an image, in pixels.
        label_smoothing: share of a label that is spread over all classes.
        class_balance: a class counts (median frequency / its frequency) ** class_balance; 0 weighs all alike.
        average: decay per step of the averaged weights that are validated and kept; 0 keeps the last weights.
        validate_every: epochs between two validations.
        augmentation: random changes of train images; None for none.
        precision: number format of the products, `auto` for bfloat16 where the hardware multiplies it.
        full_size: further training on whole images; None for none.
    """

    epochs: Count = 16
    batch_size: Count = 64
    learning_rate: Rate = 5e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-3
    shift_pixels: Annotated[int, Field(ge=0, le=1024)] = 0
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    class_balance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    average: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    validate_every: Count = 5
    augmentation: AugmentationCard | None = None
    precision: Precision = "float32"
    full_size: FullSizeTraining | None = None

    @property
    def values(self) -> TeacherSettings:
        """The same as a plain value."""
        plain = TeacherSettings(
            **self.model_dump(exclude={"augmentation", "full_size"}),
            augmentation=None if self.augmentation is None else self.augmentation.values,
        )
        further = self.full_size
        if further is None:
            return plain
        then = replace(
            plain,
            epochs=further.epochs,
            learning_rate=further.learning_rate,
            augmentation=further.augmentation.values,
        )
        return replace(plain, full_size=then)


class TeacherCard(Card):
    """`[teacher]`: architecture, and weights of the user's or training.

    Attributes:
        architecture: one of `networks.teachers.ARCHITECTURES`, or `module:function`.
        parameters: of the architecture.
        weights: file of a trained teacher, taken as it is.
        start: file of weights that training starts from where names and shapes fit, such as those of an encoder.
        threads: of the training, None for the card's.
        training: of a teacher without `weights`.
    """

    architecture: str
    parameters: dict[str, Any] = {}
    weights: Path | None = None
    start: Path | None = None
    threads: Count | None = None
    training: TeacherTraining = TeacherTraining()

    @model_validator(mode="after")
    def _one_of_them(self) -> "TeacherCard":
        if self.weights is not None and self.start is not None:
            raise ValueError("weights are taken as they are and start is where training starts: give one of them")
        return self


class FeaturesCard(Card):
    """`[distillation.features]`: see `networks.features.FeatureSettings`.

    Attributes:
        cache: where the teacher's feature maps are kept between steps.
        dtype: number format in which they are kept.
        budget_gib: memory or disk that they may take, in GiB; what does not fit is computed anew.
    """

    cache: Literal["memory", "disk", "none"] = "memory"
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    budget_gib: Rate = 4.0

    @property
    def values(self) -> FeatureSettings:
        """The same as a plain value."""
        return FeatureSettings(cache=self.cache, dtype=self.dtype, budget_bytes=int(self.budget_gib * 2**30))


class DistillationCard(Card):
    """`[distillation]`: see `networks.distill.distill`.

    Attributes:
        steps: training steps of each candidate.
        batch_size: images of one step.
        learning_rate: highest rate of the weights.
        weight_decay: of AdamW, decoupled.
        precision: number format of the products, `auto` for bfloat16 where the hardware multiplies it.
        inherit: candidates start from the teacher's weights where name and shape are the same, see `networks.pruning`.
        correct: layers are fitted to the teacher's by least squares first, see `networks.training.correction`.
        features: how the teacher's feature maps are kept.
    """

    steps: Count = 150
    batch_size: Count = 64
    learning_rate: Rate = 5e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-4
    precision: Precision = "float32"
    inherit: bool = False
    correct: bool = False
    features: FeaturesCard = FeaturesCard()


class FinetuningCard(Card):
    """`[finetuning]`: see `networks.finetune.finetune`; every validated network gets the same.

    Attributes:
        epochs: passes over the train images.
        batch_size: images of one step.
        learning_rate: None for 1e-3, or 1e-5 where the teacher's weights are borrowed: it learnt from more and other
            examples than are at hand, which a high rate makes it forget.
        step_learning_rate: None for 1e-2, or 1e-3 where they are borrowed.
        temperature: divides the logits before they are compared with the teacher's.
        teacher_share: share of the loss that compares with the teacher; the rest compares with labels.
        shift_pixels: largest random shift of an image, in pixels.
        class_balance: a class counts (median frequency / its frequency) ** class_balance; 0 weighs all alike.
        augmentation: random changes of train images, without crops; None for none.
        keep: `last` state, or of those before the first and after each epoch the `best` in the metric on search images;
            None for `last`, or `best` where the weights are borrowed, so that no network ends worse than it began.
    """

    epochs: Count = 8
    batch_size: Count = 64
    learning_rate: Rate | None = None
    step_learning_rate: Rate | None = None
    temperature: Rate = 2.0
    teacher_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.7
    shift_pixels: Annotated[int, Field(ge=0, le=1024)] = 0
    class_balance: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    augmentation: AugmentationCard | None = None
    keep: Literal["last", "best"] | None = None

    @field_validator("augmentation")
    @classmethod
    def _whole(cls, augmentation: AugmentationCard | None) -> AugmentationCard | None:
        return None if augmentation is None else _whole_images(augmentation)

    def settings(self, *, borrowed: bool) -> FinetuningSettings:
        """The same as a plain value, with what is not given.

        Args:
            borrowed: the teacher comes with its weights, which this run does not train.
        """
        given = self.model_dump(exclude={"augmentation"}, exclude_none=True)
        return FinetuningSettings(
            **{**(_GENTLE if borrowed else _FIRM), **given},
            augmentation=None if self.augmentation is None else self.augmentation.values,
        )


# What fine-tuning does where a card does not say. For borrowed weights one pair
# was tried, in benchmarks/efficientnet_lite0.py: it harms nothing there; that it helps is not shown.
_FIRM: dict[str, Any] = {"learning_rate": 1e-3, "step_learning_rate": 1e-2, "keep": "last"}
_GENTLE: dict[str, Any] = {"learning_rate": 1e-5, "step_learning_rate": 1e-3, "keep": "best"}
