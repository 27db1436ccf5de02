"""Data that a function of the user's gives, named in a card as `module:function`."""

from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from evo_qnas.data.card import DataCard
from evo_qnas.data.examples import Examples, Splits
from evo_qnas.data.live import Reading, examples_of
from evo_qnas.errors import DataError
from evo_qnas.importing import imported

_PARTS = ("train", "search", "test")


def load_own(card: DataCard, *, cache: Path | None) -> Splits:
    """The splits that `module:function` gives when it is called with `data.options`.

    It gives `Splits`, or train, search and test data in a tuple or a dict: anything that `Study` takes, of batches
    whose first part are inputs and whose second part are targets. Class names may stand in the dict as `classes`.

    Raises:
        DataError: the function cannot be imported, or gives something else.
    """
    function = imported(card.name, key="data.name", error=DataError)
    if not callable(function):
        raise DataError(f"data.name = {card.name!r} is a {type(function).__name__}, not a function")
    try:
        given = function(**card.options)
    except TypeError as error:
        raise DataError(f"data.name = {card.name!r} does not take data.options: {error}") from error
    if isinstance(given, Splits):
        return given
    parts = dict(zip(_PARTS, given, strict=False)) if isinstance(given, tuple) and len(given) == len(_PARTS) else given
    if not isinstance(parts, dict) or not set(_PARTS) <= set(parts):
        raise DataError(f"data.name = {card.name!r} must give Splits, or train, search and test in a tuple or dict")
    folder = cache or Path(mkdtemp(prefix="evo-qnas-"))
    train, search, test = (_opened(parts[name], folder / name, card.split_seed) for name in _PARTS)
    return Splits(train=train, search=search, test=test, classes=tuple(map(str, parts.get("classes", ()))))


def _opened(data: Any, folder: Path, seed: int) -> Examples:
    return data if isinstance(data, Examples) else examples_of(data, Reading(), folder=folder, seed=seed)
