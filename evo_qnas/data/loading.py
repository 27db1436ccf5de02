"""The data set that a card names."""

from pathlib import Path

from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Splits
from evo_qnas.data.own import load_own
from evo_qnas.data.sources import DATA_SOURCES
from evo_qnas.errors import DataError


def load_splits(card: DataCard, *, cache: Path | None = None, jobs: int = 1) -> Splits:
    """The parts of the data set that a card names, see `DATA_SOURCES`, or that `module:function` gives.

    Image files are decoded once into memory-mapped files, which later calls and worker processes share.

    Args:
        card: name, size and split.
        cache: folder of decoded images where `card.cache` names none; None decodes into memory.
        jobs: processes that decode.

    Raises:
        DataError: the name is unknown, a key does not fit it, or a file is missing or malformed.
    """
    if ":" in card.name:
        return load_own(card, cache=card.cache or cache)
    source = DATA_SOURCES.get(card.name)
    for key in sorted(card.model_fields_set - source.keys - {"name"}):
        if getattr(card, key) != DataCard.model_fields[key].default:
            raise DataError(f"data.{key} says nothing about {card.name!r}: remove it from the card")
    return source.load(card, cache=card.cache or cache, jobs=jobs)
