"""Image files, their label files, their part and the meaning of label values: nothing is decoded yet."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from evo_qnas.data.card import DataCard
from evo_qnas.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".webp")
LABEL_SUFFIXES = (".png", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".gif")
PARTS = ("train", "search", "test")
# Names of folders and lists of each part.
PART_FOLDERS = {
    "train": ("train", "training"),
    "search": ("search", "val", "validation"),
    "test": ("test", "testing"),
}
# Keys of `[data]` that every data set of image files uses, and those of one whose parts are drawn.
FILE_KEYS = frozenset({"folder", "height", "width", "mean", "std", "cache"})
SPLIT_KEYS = frozenset({"split_seed", "search_share"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An image file and its label file."""

    image: Path
    label: Path


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCoding:
    """Meaning of the values of label images.

    Attributes:
        names: class names.
        codes: (value or 65536 red + 256 green + blue, class) of all classes, and of what is ignored with `IGNORE`.
        colours: whether label images are coloured; else they hold values.
    """

    names: tuple[str, ...]
    codes: tuple[tuple[int, int], ...]
    colours: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A data set on disk.

    Attributes:
        parts: the pairs of `train`, `search` and `test`, ordered by name.
        coding: what label values stand for.
    """

    parts: Mapping[str, tuple[Pair, ...]]
    coding: LabelCoding


def dataset_folder(card: DataCard, layout: str) -> Path:
    """The folder of the data set: `data.folder`, else `$EVO_QNAS_DATA/<name>`.

    Args:
        card: the data card.
        layout: what the folder must contain, for the error.

    Raises:
        DataError: neither is given, or it does not exist.
    """
    root = os.environ.get("EVO_QNAS_DATA")
    # Where data.folder is given nothing else will do: images of another folder would be a silent mistake.
    named = card.folder or (Path(root) / card.name if root else None)
    if named is not None and named.is_dir():
        return named
    where = f"the data folder {named} does not exist" if named else "no data folder is given"
    raise DataError(
        f"{where}: set data.folder to a folder with {layout}, or EVO_QNAS_DATA to the folder above {card.name}/"
    )


def files_by_key(folder: Path, suffixes: Sequence[str], *, ending: str = "") -> dict[str, Path]:
    """Files below `folder` by their path without `ending` and suffix; other and hidden files are left out.

    Raises:
        DataError: the folder is missing or two files have one key.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in suffixes or not path.stem.endswith(ending) or path.name.startswith("."):
            continue
        relative = path.relative_to(folder)
        key = relative.with_name(path.stem.removesuffix(ending)).as_posix()
        if key in files:
            raise DataError(f"{files[key]} and {path.name} would be one image: remove or rename one of them")
        files[key] = path
    return files


def paired(images: Mapping[str, Path], labels: Mapping[str, Path], *, where: tuple[Path, Path]) -> dict[str, Pair]:
    """Images with the labels of the same key.

    Args:
        images: image files by key.
        labels: label files by key.
        where: folders of images and labels, for the errors.

    Raises:
        DataError: there are no images, an image has no label or a label no image.
    """
    if not images:
        raise DataError(f"there are no images in {where[0]}: files {', '.join(IMAGE_SUFFIXES)} are read")
    for ours, others, what, other, folder in (
        (images, labels, "image", "label image", where[1]),
        (labels, images, "label image", "image", where[0]),
    ):
        alone = sorted(ours.keys() - others.keys())
        if alone:
            raise DataError(
                f"{what} {ours[alone[0]]} has no {other} of that name in {folder}{_and_more(len(alone) - 1)}: "
                f"add it, or move the {what} away"
            )
    return {key: Pair(image=images[key], label=labels[key]) for key in sorted(images)}


def _and_more(count: int) -> str:
    return f", nor have {count} more" if count else ""


def share_of(groups: Mapping[str, Sequence[str]], share: float, *, seed: int, what: str) -> set[str]:
    """Members of whole groups, drawn until they come nearest to a share of all members; at least one group stays out.

    Raises:
        DataError: there are fewer than two groups.
    """
    if len(groups) < 2:
        raise DataError(f"{what} needs at least two images to split, there are {len(groups)}")
    names = sorted(groups)
    target = share * sum(len(members) for members in groups.values())
    chosen: set[str] = set()
    for index in np.random.Generator(np.random.PCG64(seed)).permutation(len(names))[:-1]:
        members = groups[names[index]]
        if chosen and abs(len(chosen) + len(members) - target) >= abs(len(chosen) - target):
            continue
        chosen.update(members)
    return chosen


def ordered(pairs: Mapping[str, Pair], keys: Iterable[str]) -> tuple[Pair, ...]:
    """The pairs of `keys`, ordered by key."""
    return tuple(pairs[key] for key in sorted(keys))
