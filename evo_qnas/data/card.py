"""`[data]` of a problem card: which images, at which size, with which labels, and how they are split."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from evo_qnas.cards import Card

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
# An image of the largest size takes 0.8 GB decoded.
Side = Annotated[int, Field(ge=8, le=16_384)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Value = Annotated[int, Field(ge=0, le=65_535)]
Level = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Level, Level, Level]
Mean = Annotated[float, Field(ge=0.0, le=1.0)]
# Pixels are 0..1 in steps of 1/255: a channel that varies by less is one of no image.
Deviation = Annotated[float, Field(ge=1e-3, le=1e3)]


class ClassCard(Card):
    """One entry of `data.classes`: a name and what stands for it in the label images.

    Entries of one name make one class. Without `value` or `colour` the class has the value of its index in the list.

    Attributes:
        name: of the class.
        value: in the label images; None for the index in the list.
        colour: red, green, blue in the label images, each 0..255.
    """

    name: str
    value: Value | None = None
    colour: Colour | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_name(cls, entry: Any) -> Any:
        return {"name": entry} if isinstance(entry, str) else entry

    @model_validator(mode="after")
    def _one_of_both(self) -> "ClassCard":
        if self.value is not None and self.colour is not None:
            raise ValueError(f"class {self.name!r} has a value and a colour: leave one")
        return self


class CountsCard(Card):
    """`data.images` of generated data sets: images of each part.

    Attributes:
        train: images of the train part.
        search: images of the search part.
        test: images of the test part.
    """

    train: Count
    search: Count
    test: Count


class DataCard(Card):
    """`[data]`: which images, and how they are split. Keys that a data set has no use for stay out.

    Attributes:
        name: one of `sources.DATA_SOURCES`, or `module:function`, called with `options`, see `own.load_own`.
        folder: where the images lie; None for `$EVO_QNAS_DATA/<name>`.
        search_share: share of the images (where there is no search part: of the train images) that scores choices.
        test_share: share of the images for final validation, where there is no test part.
        split_seed: decides which image goes where, and which streets are generated.
        height: rows of the images after decoding, None for the files' own; goes with `width`.
        width: the same for columns.
        classes: names, or names with values or colours of the label images.
        ignore: values of the label images that count nowhere, besides 255.
        ignore_colours: the same where classes have colours.
        images: how many images are generated.
        image_folder: folder of the images in `folder`.
        label_folder: folder of the label images in `folder`.
        image_ending: last part of all image names, dropped before they are matched with labels.
        label_ending: the same for label images.
        mean: of the channels red, green, blue in 0..1, None for ImageNet's.
        std: the same.
        cache: where decoded images are kept, None for `data/` in the run folder.
        options: further settings of a data source of another package; ours have none.
    """

    name: str
    folder: Path | None = None
    search_share: Share = 0.2
    test_share: Share = 0.25
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    height: Side | None = None
    width: Side | None = None
    classes: Annotated[list[ClassCard], Field(min_length=1, max_length=254)] | None = None
    ignore: list[Value] | None = None
    ignore_colours: list[Colour] | None = None
    images: CountsCard | None = None
    image_folder: str | None = None
    label_folder: str | None = None
    image_ending: str | None = None
    label_ending: str | None = None
    mean: tuple[Mean, Mean, Mean] | None = None
    std: tuple[Deviation, Deviation, Deviation] | None = None
    cache: Path | None = None
    options: dict[str, Any] = {}

    @model_validator(mode="after")
    def _fits_together(self) -> "DataCard":
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width go together: give both or neither")
        return self

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) after decoding, None for the files' own."""
        return None if self.height is None or self.width is None else (self.height, self.width)
