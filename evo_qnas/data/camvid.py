"""CamVid in the layout of the SegNet tutorial: road scenes with 11 classes."""

from pathlib import Path
from typing import final

from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Splits
from evo_qnas.data.files import load_listing
from evo_qnas.data.images import IGNORE
from evo_qnas.data.listing import (
    FILE_KEYS,
    IMAGE_SUFFIXES,
    LABEL_SUFFIXES,
    LabelCoding,
    Listing,
    dataset_folder,
    files_by_key,
    ordered,
    paired,
)
from evo_qnas.data.sources import DataSource

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
# Of the label images of the SegNet tutorial.
_VOID = 11


def list_camvid(card: DataCard) -> Listing:
    """The files of CamVid: `train/`, `val/` and `test/` with `trainannot/`, `valannot/` and `testannot/`.

    `val/` becomes the search part. Label images hold the values 0..10, and 11 or 255 for what is ignored.

    Source: Brostow et al. 2009, Semantic object classes in video; classes as in Badrinarayanan et al. 2017, SegNet.

    Raises:
        DataError: a folder is missing or images and labels do not pair up.
    """
    folder = dataset_folder(card, "train/, trainannot/, val/, valannot/, test/, testannot/")
    parts = {}
    for part, name in (("train", "train"), ("search", "val"), ("test", "test")):
        images, labels = folder / name, folder / f"{name}annot"
        pairs = paired(
            files_by_key(images, IMAGE_SUFFIXES), files_by_key(labels, LABEL_SUFFIXES), where=(images, labels)
        )
        parts[part] = ordered(pairs, pairs)
    values = [(value, value) for value in range(len(CLASSES))]
    coding = LabelCoding(names=CLASSES, codes=(*values, (_VOID, IGNORE), (IGNORE, IGNORE)))
    return Listing(parts=parts, coding=coding)


@final
class CamVid(DataSource):
    """CamVid in the layout of the SegNet tutorial."""

    about = "road scenes in the layout of the SegNet tutorial, in data.folder; 11 classes a pixel"
    keys = FILE_KEYS

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `list_camvid`."""
        return load_listing(list_camvid(card), card, cache=cache, jobs=jobs)
