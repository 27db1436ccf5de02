"""The algorithms of a comparison: a name, an algorithm and its settings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from evo_qnas.cards import nearest
from evo_qnas.compare.elsewhere import Elsewhere, is_results
from evo_qnas.errors import SearchError
from evo_qnas.search import ALGORITHMS
from evo_qnas.search.algorithms import algorithm_of, name_of, serves_once
from evo_qnas.search.seeded import Seeded

SETTINGS: Mapping[str, type] = MappingProxyType({"population": int, "seeding": bool, "reduce": bool, "variation": str})
SEEDINGS = ("default", "all", "none")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@final
@dataclass(frozen=True, kw_only=True)
class Entry:
    """One algorithm of a comparison.

    Attributes:
        name: unique in the comparison; its runs lie in a folder of this name.
        algorithm: a name of `ALGORITHMS`, an `Algorithm`, a class with `ask` and `tell`, a configured pymoo algorithm,
            or results that were made elsewhere (`Elsewhere`, or what it is made of).
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
        if is_results(self.algorithm) and not isinstance(self.algorithm, Elsewhere):
            object.__setattr__(self, "algorithm", Elsewhere(self.algorithm))
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
        if isinstance(self.algorithm, Elsewhere):
            return "made elsewhere"
        plain = self.algorithm.algorithm if isinstance(self.algorithm, Seeded) else self.algorithm
        algorithm = name_of(plain).replace("pymoo:", "pymoo's ")
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


def with_seeding(entries: Sequence[Entry], seeding: str) -> tuple[Entry, ...]:
    """The entries with seeds and reduced options for all of them, for none, or as each has them.

    Args:
        entries: the algorithms.
        seeding: `all`, `none`, or `default`: named algorithms start from seeds and leave options out that no optimum
            needs, where their settings do not say otherwise; other ones do neither.

    Raises:
        SearchError: `seeding` is another word.
    """
    if seeding not in SEEDINGS:
        raise SearchError(f"there is no seeding {seeding!r}; {nearest(str(seeding), list(SEEDINGS))}")
    if seeding == "default":
        return tuple(entries)
    given = seeding == "all"
    return tuple(
        Entry(
            name=entry.name,
            algorithm=_seeded(entry.algorithm) if given else entry.algorithm,
            settings=MappingProxyType({**entry.settings, "seeding": given, "reduce": given}),
        )
        for entry in entries
    )


def _seeded(algorithm: Any) -> Any:
    """The algorithm with seeds; one that has them by itself, or whose answer is known beforehand, as it is."""
    if isinstance(algorithm, Elsewhere):
        return algorithm
    made = algorithm_of(algorithm)
    return algorithm if made.reduces or made.complete else Seeded(algorithm)


def baseline_of(entries: Sequence[Entry]) -> Entry | None:
    """Random search without seeds and with all options, the yardstick; None where the entries have one."""
    for entry in entries:
        if entry.algorithm == "random" and entry.settings.get("seeding") is False:
            return None
    names = {entry.name for entry in entries}
    name = next(name for name in ("random-unseeded", "baseline", "unseeded random search") if name not in names)
    return Entry(name=name, algorithm="random", settings=MappingProxyType({"seeding": False, "reduce": False}))


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
