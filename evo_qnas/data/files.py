"""A listing of files as images: decoded once at the size of the card."""

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from evo_qnas.data.caching import Item, make_arrays
from evo_qnas.data.card import DataCard
from evo_qnas.data.decoding import Size, decode, size_of
from evo_qnas.data.examples import Splits
from evo_qnas.data.images import Images
from evo_qnas.data.listing import LabelCoding, Listing, Pair
from evo_qnas.errors import DataError

# Of ImageNet's train images in 0..1, as torchvision's pretrained networks take them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Raised where the same files are decoded to other values.
_FORMAT = 1


def load_listing(listing: Listing, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
    """The decoded parts of a listing.

    Args:
        listing: which files.
        card: size and normalisation.
        cache: folder of decoded images; None decodes into memory.
        jobs: processes that decode.

    Raises:
        DataError: a file is malformed.
    """
    size = card.size or size_of(listing.parts["train"][0].image)
    parts = {}
    for part, pairs in listing.parts.items():
        make = functools.partial(_decoded, size, listing.coding, card.size is not None)
        name = f"{part}-{_fingerprint(pairs, size, listing.coding)}"
        label = f"{part} images decoded"
        pixels, labels = make_arrays(make, pairs, size, cache=cache, name=name, label=label, jobs=jobs)
        parts[part] = normalised_images(card, torch.from_numpy(pixels), torch.from_numpy(labels))
    return Splits(
        train=parts["train"],
        search=parts["search"],
        test=parts["test"],
        classes=listing.coding.names,
        preprocessing=preprocessing_of(card, size),
    )


def preprocessing_of(card: DataCard, size: Size) -> dict[str, Any]:
    """How bytes 0..255 of an image become what models get."""
    mean, std = card.mean or IMAGENET_MEAN, card.std or IMAGENET_STD
    shape = {"layout": "NCHW", "channels": "RGB", "size": list(size)}
    return {"divide": 255.0, "mean": list(mean), "std": list(std), **shape}


def normalised_images(card: DataCard, pixels: torch.Tensor, labels: torch.Tensor) -> Images:
    """Images with mean and deviation of the card, by default ImageNet's."""
    return Images(pixels=pixels, labels=labels, mean=card.mean or IMAGENET_MEAN, std=card.std or IMAGENET_STD)


def _decoded(size: Size, coding: LabelCoding, resize: bool, pair: Pair) -> Item:
    return decode(pair, size, coding, resize=resize)


def _fingerprint(pairs: Sequence[Pair], size: Size, coding: LabelCoding) -> str:
    """A hex digest of all that decoded images depend on: names, lengths and times of the files, size, coding."""
    stats = [facts_of(path) for pair in pairs for path in (pair.image, pair.label)]
    text = json.dumps([_FORMAT, size, coding.codes, coding.colours, stats])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def facts_of(path: Path) -> tuple[str, str, int, int]:
    """Folder, name, length and time of a file, for what is decoded from it.

    Raises:
        DataError: it cannot be read, a link that leads nowhere.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    return path.parent.name, path.name, status.st_size, status.st_mtime_ns
