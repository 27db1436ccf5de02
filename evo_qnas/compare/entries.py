"""The algorithms of a comparison: a name, an algorithm and its settings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from evo_qnas.cards import nearest
from evo_qnas.errors import SearchError
from evo_qnas.search import ALGORITHMS
from evo_qnas.search.algorithms import name_of, serves_once

SETTINGS: Mapping[str, type] = MappingProxyType({"population": int, "seeding": bool, "reduce": bool, "variation": str})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@final
@dataclass(frozen=True, kw_only=True)
class Entry:
    """One algorithm of a comparison.

    Attributes:
        name: unique in the comparison; its runs lie in a folder of this name.
        algorithm: a name of `ALGORITHMS`, an `Algorithm`, or a configured pymoo algorithm.
        settings: further arguments of `search`: `population`, `seeding`, `reduce`, `variation`.
    """

    name: str
    algorithm: Any
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Refuses names that are no folder names, unknown algorithms and unknown settings."""
        if not _NAME.fullmatch(self.name):
            raise SearchError(f"the name {self.name!r} must be of letters, digits, spaces and . _ + -")
        if isinstance(self.algorithm, str) and self.algorithm not in ALGORITHMS:
            raise SearchError(f"there is no algorithm {self.algorithm!r}; {nearest(self.algorithm, list(ALGORITHMS))}")
        if serves_once(self.algorithm):
            raise SearchError(
                f"{self.name}: an object with ask and tell serves one run only: give its class, or an Algorithm, which "
                "makes one for each"
            )
        for key, value in self.settings.items():
            if key not in SETTINGS:
                raise SearchError(f"{self.name}: there is no setting {key!r}; {nearest(key, list(SETTINGS))}")
            if type(value) is not SETTINGS[key]:
                raise SearchError(f"{self.name}: {key} must be a {SETTINGS[key].__name__}, got {value!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        """For worker processes: read-only mappings cannot be pickled."""
        return _rebuild, (self.name, self.algorithm, dict(self.settings))

    @property
    def text(self) -> str:
        """Algorithm and settings for people."""
        algorithm = name_of(self.algorithm).replace("pymoo:", "pymoo's ")
        return ", ".join([algorithm, *(f"{key}={value}" for key, value in self.settings.items())])


def _rebuild(name: str, algorithm: Any, settings: dict[str, Any]) -> Entry:
    return Entry(name=name, algorithm=algorithm, settings=settings)


def entries_of(algorithms: Any) -> tuple[Entry, ...]:
    """The entries that a user means.

    Args:
        algorithms: one of, or a sequence of: an `Entry`, a text for `parse_entry`, an `Algorithm`, a configured pymoo
            algorithm; or a mapping from names to an algorithm or to `{"algorithm": .., "population": .., ..}`.

    Raises:
        SearchError: there is none, a name is there twice, or an entry is refused.

    Example:
        >>> [entry.text for entry in entries_of(["nsga2", "plain=nsga2,seeding=false"])]
        ['nsga2', 'nsga2, seeding=False']
    """
    if isinstance(algorithms, Mapping):
        entries = tuple(_named(str(name), value) for name, value in algorithms.items())
    else:
        several = algorithms if isinstance(algorithms, Sequence) and not isinstance(algorithms, str) else [algorithms]
        entries = tuple(_entry(item) for item in several)
    check_names("algorithm", [entry.name for entry in entries])
    return entries


def check_names(kind: str, names: Sequence[str]) -> None:
    """Refuses an empty list and names that are not unique.

    Raises:
        SearchError: there is none, or one is there twice.
    """
    if not names:
        raise SearchError(f"a comparison needs at least one {kind}")
    for name in names:
        if names.count(name) > 1:
            raise SearchError(f"{kind} {name!r} is there {names.count(name)} times: give each a name of its own")


def _entry(item: Any) -> Entry:
    if isinstance(item, Entry):
        return item
    return (
        parse_entry(item) if isinstance(item, str) else Entry(name=name_of(item).removeprefix("pymoo:"), algorithm=item)
    )


def _named(name: str, value: Any) -> Entry:
    if not isinstance(value, Mapping):
        return Entry(name=name, algorithm=value)
    if "algorithm" not in value:
        raise SearchError(f"{name}: the key 'algorithm' is missing")
    rest = {key: setting for key, setting in value.items() if key != "algorithm"}
    return Entry(name=name, algorithm=value["algorithm"], settings=MappingProxyType(rest))


def parse_entry(text: str) -> Entry:
    """The entry of `ALGORITHM`, or of `NAME=ALGORITHM,setting=value,..`.

    Raises:
        SearchError: a setting cannot be read, or the entry is refused.
    """
    if "=" not in text:
        return Entry(name=text, algorithm=text)
    name, _, rest = text.partition("=")
    algorithm, *pairs = rest.split(",")
    settings = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not sign or key not in SETTINGS:
            raise SearchError(
                f"{text!r}: after the algorithm come settings such as seeding=false; {nearest(key, list(SETTINGS))}"
            )
        settings[key] = _value(text, key, value)
    return Entry(name=name.strip(), algorithm=algorithm.strip(), settings=MappingProxyType(settings))


def _value(text: str, key: str, value: str) -> Any:
    """A setting's value from its text."""
    if SETTINGS[key] is bool:
        if value.lower() not in _WORDS:
            raise SearchError(f"{text!r}: {key} must be true or false, not {value!r}")
        return _WORDS[value.lower()]
    if SETTINGS[key] is int:
        try:
            return int(value)
        except ValueError:
            raise SearchError(f"{text!r}: {key} must be a whole number, not {value!r}") from None
    return value
