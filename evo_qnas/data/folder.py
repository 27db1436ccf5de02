"""Any folder of images and label images, with the classes in the card."""

from collections.abc import Mapping
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
    PART_FOLDERS,
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

_OWN_KEYS = frozenset(
    {
        "test_share",
        "classes",
        "ignore",
        "ignore_colours",
        "image_folder",
        "label_folder",
        "image_ending",
        "label_ending",
    }
)


def list_folder(card: DataCard) -> Listing:
    """The files of `folder/images/` and `folder/labels/`, which pair up by name.

    Parts are taken from sub-folders of the images' folder (`train/`, `search/` or `val/`, `test/`), else from lists
    (`train.txt`, `search.txt` or `val.txt`, `test.txt` in `folder`, one image name a line), else all are drawn. Where
    there is train and one other part, the other is the test part, and the search part is drawn from train.

    Raises:
        DataError: a folder, the class list or a listed image is missing, images and labels do not pair up, or a part is
            empty.
    """
    folder = dataset_folder(card, "images/ and labels/")
    coding = coding_of(card)
    images, labels = folder / (card.image_folder or "images"), folder / (card.label_folder or "labels")
    pairs = paired(
        files_by_key(images, IMAGE_SUFFIXES, ending=card.image_ending or ""),
        files_by_key(labels, LABEL_SUFFIXES, ending=card.label_ending or ""),
        where=(images, labels),
    )
    known = _by_folder(pairs, images) or _by_list(pairs, folder, images) or {}
    parts = _completed(known, pairs, card)
    for part, keys in parts.items():
        if not keys:
            raise DataError(f"the {part} part of {folder} is empty: add images, or change the shares in [data]")
    return Listing(parts={part: ordered(pairs, keys) for part, keys in parts.items()}, coding=coding)


def coding_of(card: DataCard) -> LabelCoding:
    """Meaning of label values, from `data.classes` and what is ignored.

    Raises:
        DataError: there is no class list, values and colours are mixed, or one value stands for two classes.
    """
    if not card.classes:
        raise DataError('data.classes is missing: list the class names, for example classes = ["background", "road"]')
    colours = card.classes[0].colour is not None
    names = tuple(dict.fromkeys(entry.name for entry in card.classes))
    codes: dict[int, int] = {}
    for index, entry in enumerate(card.classes):
        if (entry.colour is not None) != colours:
            raise DataError(f"data.classes: class {entry.name!r} breaks the rule that all or none have a colour")
        code = _packed(entry.colour) if entry.colour is not None else index if entry.value is None else entry.value
        if codes.setdefault(code, names.index(entry.name)) != names.index(entry.name):
            shown = entry.colour if colours else code
            raise DataError(f"data.classes: {shown} stands for {names[codes[code]]!r} and for {entry.name!r}")
    for ignored in (card.ignore_colours if colours else card.ignore) or []:
        code = ignored if isinstance(ignored, int) else _packed(ignored)
        if codes.setdefault(code, IGNORE) != IGNORE:
            raise DataError(f"data.classes: {ignored} stands for {names[codes[code]]!r} and is to be ignored")
    if not colours:
        codes.setdefault(IGNORE, IGNORE)
    return LabelCoding(names=names, codes=tuple(sorted(codes.items())), colours=colours)


def _packed(colour: tuple[int, int, int]) -> int:
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]


def _by_folder(pairs: Mapping[str, Pair], images: Path) -> dict[str, set[str]] | None:
    """Parts by the first folder of the keys, None where there is no folder `train`."""
    if not any((images / name).is_dir() for name in PART_FOLDERS["train"]):
        return None
    parts: dict[str, set[str]] = {}
    for key in pairs:
        first = key.split("/")[0]
        part = next((part for part, names in PART_FOLDERS.items() if first in names and "/" in key), None)
        if part is None:
            raise DataError(f"image {pairs[key].image} lies in none of the folders train, search (or val) and test")
        parts.setdefault(part, set()).add(key)
    return parts


def _by_list(pairs: Mapping[str, Pair], folder: Path, images: Path) -> dict[str, set[str]] | None:
    """Parts by lists of names, None where there is no `train.txt`."""
    parts: dict[str, set[str]] = {}
    for part, names in PART_FOLDERS.items():
        path = next((folder / f"{name}.txt" for name in names if (folder / f"{name}.txt").is_file()), None)
        if path is not None:
            parts[part] = _listed(path, pairs, images)
    if "train" not in parts:
        return None
    for part, keys in parts.items():
        for other, others in parts.items():
            if part < other and keys & others:
                raise DataError(f"image {min(keys & others)} stands in the lists of {part} and {other}: keep it in one")
    return parts


def _listed(path: Path, pairs: Mapping[str, Pair], images: Path) -> set[str]:
    """The keys that a list names, with or without the suffix of the file."""
    names = {pair.image.relative_to(images).as_posix(): key for key, pair in pairs.items()}
    keys = set()
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8") from error
    for line in lines:
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        key = name if name in pairs else names.get(name)
        if key is None:
            raise DataError(f"{path} lists {name!r}, which is no image in {images}")
        keys.add(key)
    return keys


def _completed(known: Mapping[str, set[str]], pairs: Mapping[str, Pair], card: DataCard) -> dict[str, set[str]]:
    """All three parts; those that are not given are drawn from train."""
    parts = {part: set(keys) for part, keys in known.items()} or {"train": set(pairs)}
    if set(parts) == {"train", "search"}:
        parts["test"] = parts.pop("search")
    share = card.search_share
    if "test" not in parts:
        parts["test"] = _drawn(parts["train"], card.test_share, seed=2 * card.split_seed)
        parts["train"] -= parts["test"]
        share /= 1.0 - card.test_share
    if "search" not in parts:
        parts["search"] = _drawn(parts["train"], min(share, 1.0), seed=2 * card.split_seed + 1)
        parts["train"] -= parts["search"]
    return parts


def _drawn(keys: set[str], share: float, *, seed: int) -> set[str]:
    return share_of({key: [key] for key in keys}, share, seed=seed, what="data.folder")


@final
class Folder(DataSource):
    """Any folder of images and label images."""

    about = "images/ and labels/ of data.folder, with data.classes; a class a pixel"
    keys = FILE_KEYS | SPLIT_KEYS | _OWN_KEYS

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        """See `list_folder`."""
        return load_listing(list_folder(card), card, cache=cache, jobs=jobs)
