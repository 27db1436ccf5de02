"""Cityscapes in its own folder layout: street scenes with 19 classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Splits
from evo_qnas.data.files import load_listing
from evo_qnas.data.images import IGNORE
from evo_qnas.data.listing import (
    FILE_KEYS,
    SPLIT_KEYS,
    LabelCoding,
    Listing,
    Pair,
    dataset_folder,
    files_by_key,
    ordered,
    paired,
    share_of,
)
from evo_qnas.data.sources import DataSource
from evo_qnas.errors import DataError

CLASSES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
# `id` of the 19 classes with a `trainId`, in its order, of cityscapesscripts.helpers.labels; ids run from 0 to 33.
_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_ALL_LABEL_IDS = 34
_IMAGE = "_leftImg8bit"
_LABELS = ("_gtFine_labelIds", "_gtFine_labelTrainIds")


def list_cityscapes(card: DataCard) -> Listing:
    """The files of Cityscapes below `leftImg8bit/` and `gtFine/`.

    The labels of `test/` are not public, so `val/` (three cities) is the test part; the search part is a share of the
    train images by whole cities, where there are enough of them, else by whole sequences. In `*_gtFine_labelIds.png` 19
    of the 34 ids become classes, others are ignored; where there are none, `*_gtFine_labelTrainIds.png` are read.

    Source: Cordts et al. 2016, The Cityscapes Dataset; ids as in cityscapesscripts.helpers.labels.

    Raises:
        DataError: a folder is missing, images and labels do not pair up, or there are too few images to split.
    """
    folder = dataset_folder(card, "leftImg8bit/{train,val}/<city>/ and gtFine/{train,val}/<city>/")
    ending = _ending(folder / "gtFine" / "train")
    train, test = (_pairs(folder, part, ending) for part in ("train", "val"))
    search = share_of(
        _groups(train, card.search_share), card.search_share, seed=card.split_seed, what=f"{folder} / train"
    )
    parts = {
        "train": ordered(train, train.keys() - search),
        "search": ordered(train, search),
        "test": ordered(test, test),
    }
    return Listing(parts=parts, coding=_coding(train_ids=ending == _LABELS[1]))


def _ending(folder: Path) -> str:
    """Ending of the names of the label images."""
    for ending in _LABELS:
        if next(folder.rglob(f"*{ending}.png"), None) is not None:
            return ending
    raise DataError(f"there are no label images *{_LABELS[0]}.png or *{_LABELS[1]}.png in {folder}")


def _pairs(folder: Path, part: str, ending: str) -> dict[str, Pair]:
    """Images and labels of one part by city and name."""
    images, labels = folder / "leftImg8bit" / part, folder / "gtFine" / part
    return paired(
        files_by_key(images, (".png",), ending=_IMAGE),
        files_by_key(labels, (".png",), ending=ending),
        where=(images, labels),
    )


def _groups(pairs: Mapping[str, Pair], share: float) -> dict[str, list[str]]:
    """Keys by city if the share is at least a city of middling size, else by sequence, else one by one."""
    by_city: dict[str, list[str]] = {}
    by_sequence: dict[str, list[str]] = {}
    for key in pairs:
        city, _, name = key.rpartition("/")
        by_city.setdefault(city, []).append(key)
        by_sequence.setdefault(f"{city}/{'_'.join(name.split('_')[:2])}", []).append(key)
    for groups in (by_city, by_sequence):
        if len(groups) * min(share, 1.0 - share) >= 1.0:
            return groups
    return {key: [key] for key in pairs}


def _coding(*, train_ids: bool) -> LabelCoding:
    """Meaning of the values of the label images."""
    if train_ids:
        codes = [(value, value) for value in range(len(CLASSES))]
    else:
        known = dict(zip(_LABEL_IDS, range(len(CLASSES)), strict=True))
        codes = [(value, known.get(value, IGNORE)) for value in range(_ALL_LABEL_IDS)]
    return LabelCoding(names=CLASSES, codes=(*codes, (IGNORE, IGNORE)))


@final
class Cityscapes(DataSource):
    """Cityscapes in its own folder layout."""

    about = "street scenes in leftImg8bit/ and gtFine/ of data.folder; 19 classes a pixel"
    keys = FILE_KEYS | SPLIT_KEYS

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `list_cityscapes`."""
        return load_listing(list_cityscapes(card), card, cache=cache, jobs=jobs)
