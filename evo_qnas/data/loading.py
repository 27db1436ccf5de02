"""Data sets by name; loaders read what the user has on disk."""

from collections.abc import Callable, Mapping
from pathlib import Path

from evo_qnas.cards import nearest
from evo_qnas.data.arrays import load_arrays_splits
from evo_qnas.data.camvid import list_camvid
from evo_qnas.data.card import DataCard
from evo_qnas.data.cityscapes import list_cityscapes
from evo_qnas.data.digits import load_digits_splits
from evo_qnas.data.files import load_listing
from evo_qnas.data.folder import list_folder
from evo_qnas.data.images import Splits
from evo_qnas.data.listing import Listing
from evo_qnas.data.streets.loading import load_streets
from evo_qnas.errors import DataError

DATASETS = {
    "digits": "1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn; 10 classes",
    "arrays": "train.npz, search.npz and test.npz with normalised pixels and labels, in data.folder",
    "camvid": "road scenes in the layout of the SegNet tutorial, in data.folder; 11 classes a pixel",
    "cityscapes": "street scenes in leftImg8bit/ and gtFine/ of data.folder; 19 classes a pixel",
    "streets": "street scenes generated from a seed, the classes of Cityscapes; needs no files",
    "folder": "images/ and labels/ of data.folder, with data.classes; a class a pixel",
}

_LISTERS: Mapping[str, Callable[[DataCard], Listing]] = {
    "camvid": list_camvid,
    "cityscapes": list_cityscapes,
    "folder": list_folder,
}
_FILES = frozenset({"folder", "height", "width", "mean", "std", "cache"})
_SPLIT = frozenset({"split_seed", "search_share"})
_KEYS: Mapping[str, frozenset[str]] = {
    "digits": _SPLIT | {"test_share"},
    "arrays": frozenset({"folder"}),
    "camvid": _FILES,
    "cityscapes": _FILES | _SPLIT,
    "streets": frozenset({"split_seed", "height", "width", "images", "mean", "std", "cache"}),
    "folder": _FILES
    | _SPLIT
    | {
        "test_share",
        "classes",
        "ignore",
        "ignore_colours",
        "image_folder",
        "label_folder",
        "image_ending",
        "label_ending",
    },
}


def load_splits(card: DataCard, *, cache: Path | None = None, jobs: int = 1) -> Splits:
    """The parts of the data set that a card names, see `DATASETS`.

    Image files are decoded once into memory-mapped files, which later calls and worker processes share.

    Args:
        card: what is wanted.
        cache: folder of decoded images where `card.cache` names none; None decodes into memory.
        jobs: processes that decode.

    Raises:
        DataError: the name is unknown, a key does not fit it, or a file is missing or malformed.
    """
    if card.name not in DATASETS:
        raise DataError(f"there is no data set {card.name!r}; {nearest(card.name, list(DATASETS))}")
    for key in sorted(card.model_fields_set - _KEYS[card.name] - {"name"}):
        if getattr(card, key) != DataCard.model_fields[key].default:
            raise DataError(f"data.{key} says nothing about {card.name!r}: remove it from the card")
    if card.name == "digits":
        return load_digits_splits(search_share=card.search_share, test_share=card.test_share, seed=card.split_seed)
    if card.name == "arrays":
        return load_arrays_splits(card.folder)
    if card.name == "streets":
        return load_streets(card, cache=card.cache or cache, jobs=jobs)
    return load_listing(_LISTERS[card.name](card), card, cache=card.cache or cache, jobs=jobs)
