"""Cards: the content files of `problems/`, `operators/`, `devices/`, found by path, in the checkout or in the wheel."""

import difflib
import importlib.util
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from evo_qnas.errors import CardError

Kind = Literal["problems", "operators/blocks", "operators/variation", "devices"]

# Characters of a refused value that a sentence shows. Chosen.
_LONGEST_VALUE = 200

_PACKAGE = Path(__file__).resolve().parent


class Card(BaseModel):
    """Base of all cards: frozen, an unknown key is an error, and a number is finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def _folders(kind: Kind) -> list[Path]:
    """The folders of cards of a kind, first the nearest: working folder, checkout, wheel."""
    roots = [Path.cwd(), _PACKAGE.parent, _PACKAGE / "_cards"]
    return [root / kind for root in dict.fromkeys(roots) if (root / kind).is_dir()]


def list_cards(kind: Kind) -> dict[str, Path]:
    """Cards by name; a card in the working folder hides one of the same name in the checkout or the wheel."""
    cards: dict[str, Path] = {}
    for folder in _folders(kind):
        for path in sorted(folder.iterdir()):
            if path.suffix in {".toml", ".py"} and not path.name.startswith("_"):
                cards.setdefault(path.stem, path)
    return dict(sorted(cards.items()))


def find_card(kind: Kind, name: str) -> Path:
    """The card called `name`: a path to a file, else the name of a card.

    Raises:
        CardError: there is none; the text names the nearest ones.
    """
    if Path(name).suffix in {".toml", ".py"}:
        if Path(name).is_file():
            return Path(name).resolve()
        raise CardError(f"there is no card file {name}")
    cards = list_cards(kind)
    if name not in cards:
        raise CardError(f"there is no card {name!r} in {kind}/; {nearest(name, list(cards))}")
    return cards[name]


def nearest(name: str, names: list[str]) -> str:
    """A sentence part that names what comes nearest to `name`, or all there is.

    Example:
        >>> nearest("blokcs.1", ["blocks.0", "blocks.1", "head"])
        'the nearest are: blocks.1, blocks.0'
    """
    close = difflib.get_close_matches(name, names, n=5, cutoff=0.5)
    if close:
        return f"the nearest are: {', '.join(close)}"
    listed = ", ".join(names[:20]) or "none"
    return f"there are: {listed}{', ...' if len(names) > 20 else ''}"


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML card.

    Raises:
        CardError: the file cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CardError(f"card {path} cannot be read: {error}") from error
    except RecursionError as error:
        raise CardError(f"card {path} cannot be read: its arrays or tables lie too deep in each other") from error


def validate(model: type[Model], values: dict[str, Any], origin: str) -> Model:
    """`values` as a `model`; the first broken rule becomes one sentence that names the key.

    Raises:
        CardError: a key is unknown or missing, or a value breaks its rule.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = _cause(error.errors(include_url=False))
        key = ".".join(str(part) for part in first["loc"]) or "the card"
        if first["type"] == "extra_forbidden":
            known = _keys_beside(model, first["loc"])
            raise CardError(f"{origin}: unknown key {key!r}; {nearest(str(first['loc'][-1]), known)}") from error
        if first["type"] == "missing":
            raise CardError(f"{origin}: the key {key!r} is missing") from error
        text = first["msg"].removeprefix("Value error, ")
        raise CardError(f"{origin}: {key} = {_shown(first['input'])}: {text[:1].lower()}{text[1:]}") from error


def _cause(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """The broken rule to name: an unknown key before the missing one that it may be meant for, else the first."""
    if errors[0]["type"] != "missing":
        return errors[0]
    section = errors[0]["loc"][:-1]
    unknown = (each for each in errors if each["type"] == "extra_forbidden" and each["loc"][:-1] == section)
    return next(unknown, errors[0])


def _shown(value: object) -> str:
    """A value as a sentence can hold it."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}.."


def _keys_beside(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the part of the card at `location` knows."""
    here: type[BaseModel] = model
    for part in location[:-1]:
        field = here.model_fields.get(str(part))
        inner = field.annotation if field else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            here = inner
    return list(here.model_fields)


def load_python_card(path: Path) -> ModuleType:
    """The module of a Python card; its code runs, so only open cards that you trust.

    Raises:
        CardError: the code raises on import.
    """
    spec = importlib.util.spec_from_file_location(f"evo_qnas_card_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise CardError(f"card {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CardError(f"card {path} fails on import: {type(error).__name__}: {error}") from error
    return module
