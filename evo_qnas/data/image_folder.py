"""Image files with one class each: a folder a class, or a CSV list."""

import csv
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch

from evo_qnas.data.caching import Item, make_arrays
from evo_qnas.data.card import DataCard
from evo_qnas.data.decoding import Size, decode_image, size_of
from evo_qnas.data.examples import Splits
from evo_qnas.data.files import facts_of, normalised_images, preprocessing_of
from evo_qnas.data.images import Images
from evo_qnas.data.listing import (
    FILE_KEYS,
    IMAGE_SUFFIXES,
    PART_FOLDERS,
    PARTS,
    SPLIT_KEYS,
    dataset_folder,
    files_by_key,
    share_of,
)
from evo_qnas.data.sources import DataSource
from evo_qnas.errors import DataError

LIST = "labels.csv"
# Raised where the same files are decoded to other values.
_FORMAT = 1
Labelled = dict[Path, str]


def list_classes(card: DataCard) -> tuple[dict[str, Labelled], tuple[str, ...]]:
    """The images of each part with their classes, and the classes in alphabetical order.

    `labels.csv` in the folder lists them with the columns `file`, `label` and, where the parts are given, `part`; else
    they lie in `PART/CLASS/` or in `CLASS/`. Parts that are not given are drawn from train, class by class.

    Raises:
        DataError: the folder is missing, a listed file is not there, or a part is empty.
    """
    folder = dataset_folder(card, f"a folder for each class, or {LIST}")
    known = _listed(folder) if (folder / LIST).is_file() else _in_folders(folder)
    parts = _completed(known, card)
    for part, images in parts.items():
        if not images:
            raise DataError(f"the {part} part of {folder} is empty: add images, or change the shares in [data]")
    return parts, tuple(sorted({label for images in parts.values() for label in images.values()}))


def _in_folders(folder: Path) -> dict[str, Labelled]:
    """Images by the folders that they lie in."""
    inside = {part: folder / name for part, names in PART_FOLDERS.items() for name in names if (folder / name).is_dir()}
    found = {}
    for part, place in (inside or {"train": folder}).items():
        files = files_by_key(place, IMAGE_SUFFIXES)
        alone = next((path for key, path in files.items() if "/" not in key), None)
        if alone is not None:
            raise DataError(f"image {alone} lies in no folder of a class: move it into one, or list classes in {LIST}")
        found[part] = {path: key.split("/")[0] for key, path in files.items()}
    return found


def _listed(folder: Path) -> dict[str, Labelled]:
    """Images by the rows of `labels.csv`."""
    path = folder / LIST
    names = {name: part for part, others in PART_FOLDERS.items() for name in (part, *others)}
    parts: dict[str, Labelled] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                part = names.get(row.get("part") or "train")
                if not row.get("file") or not row.get("label") or part is None:
                    raise DataError(f"{path}: each row needs file and label, and train, search or test as part: {row}")
                image = folder / str(row["file"])
                if not image.is_file():
                    raise DataError(f"{path} lists {row['file']!r}, which is no file in {folder}")
                parts.setdefault(part, {})[image] = str(row["label"])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return parts


def _completed(known: Mapping[str, Labelled], card: DataCard) -> dict[str, Labelled]:
    """All three parts; of train and one other part the other is the test part."""
    parts = {part: dict(images) for part, images in known.items()}
    if "train" not in parts:
        raise DataError("there is no train part: put its images into the folder train/")
    if set(parts) == {"train", "search"}:
        parts["test"] = parts.pop("search")
    share = card.search_share
    if "test" not in parts:
        parts["test"] = _drawn(parts["train"], card.test_share, seed=2 * card.split_seed)
        share /= 1.0 - card.test_share
    if "search" not in parts:
        parts["search"] = _drawn(parts["train"], min(share, 1.0), seed=2 * card.split_seed + 1)
    return {part: parts[part] for part in PARTS}


def _drawn(train: Labelled, share: float, *, seed: int) -> Labelled:
    """A share of each class, taken out of train."""
    drawn: Labelled = {}
    for label in sorted(set(train.values())):
        mine = {str(path): path for path, other in train.items() if other == label}
        chosen = share_of({name: [name] for name in mine}, share, seed=seed, what=f"class {label!r}")
        drawn |= {mine[name]: label for name in sorted(chosen)}
    for path in drawn:
        del train[path]
    return drawn


def load_image_folder(card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
    """The decoded parts of `list_classes`.

    Raises:
        DataError: as `list_classes`, or a file is malformed.
    """
    listed, classes = list_classes(card)
    size = card.size or size_of(next(iter(listed["train"])))
    parts = {
        part: _decoded_part(part, images, classes, size, card, cache=cache, jobs=jobs)
        for part, images in listed.items()
    }
    facts = preprocessing_of(card, size)
    return Splits(
        train=parts["train"], search=parts["search"], test=parts["test"], classes=classes, preprocessing=facts
    )


def _decoded_part(
    part: str,
    images: Labelled,
    classes: Sequence[str],
    size: Size,
    card: DataCard,
    *,
    cache: Path | None,
    jobs: int,
) -> Images:
    paths = tuple(sorted(images))
    name = f"{part}-{_fingerprint(paths, size)}"
    make = functools.partial(_item, size, card.size is not None)
    pixels, _ = make_arrays(
        make, paths, size, label_shape=(1,), cache=cache, name=name, label=f"{part} images decoded", jobs=jobs
    )
    labels = torch.tensor([classes.index(images[path]) for path in paths])
    return normalised_images(card, torch.from_numpy(pixels), labels)


def _item(size: Size, resize: bool, path: Path) -> Item:
    """Pixels of an image; its class is known without them."""
    return decode_image(path, size, resize=resize), np.zeros(1, dtype=np.uint8)


def _fingerprint(paths: Sequence[Path], size: Size) -> str:
    """A hex digest of names, lengths and times of the files, and of the size."""
    text = json.dumps([_FORMAT, size, [facts_of(path) for path in paths]])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@final
class ImageFolder(DataSource):
    """Images in folders named by class, or listed with their classes."""

    about = f"a folder for each class (in train/, val/, test/ where given), or {LIST}; a class an image"
    keys = FILE_KEYS | SPLIT_KEYS | {"test_share"}

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `load_image_folder`."""
        return load_image_folder(card, cache=cache, jobs=jobs)
