"""The header of an archive: which search it belongs to, and what differs from another one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from evo_qnas.archive.pickling import reduced
from evo_qnas.errors import ArchiveError
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo
from evo_qnas.tables import Tables

GROWING = "evaluations"


# The algorithm of networks that no search of ours evaluated.
ELSEWHERE = "elsewhere"


@final
@dataclass(frozen=True, kw_only=True)
class Header:
    """The inputs of a search; two runs with equal headers evaluate the same networks in the same order.

    Attributes:
        problem: JSON-able description, for example `TableProblem.describe()`; may be empty.
        tables: the tables the problem is built on, embedded in the file, or None.
        blocks: names of the blocks.
        objectives: names, units and directions.
        constraints: names and units.
        algorithm: the algorithm's name.
        settings: JSON-able; everything that changes which networks are evaluated, and nothing else (no worker
            counts). `evaluations` may grow from one run to the next, all else must stay.
        seed: the seed, or None.
        fingerprint: `Problem.fingerprint`.
    """

    problem: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    tables: Tables | None = None
    blocks: tuple[str, ...]
    objectives: tuple[ObjectiveInfo, ...]
    constraints: tuple[ConstraintInfo, ...] = ()
    algorithm: str
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    seed: int | None = None
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """Refuses settings that JSON cannot hold, so that a run fails before it has cost anything."""
        for name, value in (("settings", self.settings), ("problem", self.problem)):
            try:
                json.dumps(dict(value), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise ArchiveError(f"the {name} of an archive must be plain JSON values: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: read-only mappings cannot be pickled."""
        return reduced(self)

    def differences(self, other: "Header") -> Iterator[str]:
        """The differences from `other` (the earlier run), most telling first; each a phrase for a message."""
        for name, mine, theirs in (
            ("objectives", _words(self.objectives), _words(other.objectives)),
            ("constraints", _words(self.constraints), _words(other.constraints)),
            ("algorithm", self.algorithm, other.algorithm),
            ("seed", str(self.seed), str(other.seed)),
            ("blocks", ", ".join(self.blocks), ", ".join(other.blocks)),
        ):
            if mine != theirs:
                yield f"{name}: {_short(theirs)} before, {_short(mine)} now"
        mine_settings, their_settings = _plain(self.settings), _plain(other.settings)
        for key in sorted({*mine_settings, *their_settings} - {GROWING}):
            if mine_settings.get(key) != their_settings.get(key):
                yield f"{key}: {_short(their_settings.get(key))} before, {_short(mine_settings.get(key))} now"
        if self.fingerprint != other.fingerprint:
            yield _table_difference(self.tables, other.tables)


def _words(infos: tuple[ObjectiveInfo, ...] | tuple[ConstraintInfo, ...]) -> str:
    texts = []
    for info in infos:
        maximize = isinstance(info, ObjectiveInfo) and info.maximize
        texts.append(f"{info.name} [{info.unit}]{' (maximised)' if maximize else ''}")
    return ", ".join(texts) or "none"


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file (tuples become lists)."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(settings)))
    return plain


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _table_difference(mine: Tables | None, theirs: Tables | None) -> str:
    """The first place where two tables differ, or that the problem's values do."""
    if mine is None or theirs is None:
        return "the values of the problem (its fingerprint differs)"
    if list(mine.columns) != list(theirs.columns):
        return f"the tables' columns: {', '.join(theirs.columns)} before, {', '.join(mine.columns)} now"
    for name in mine.columns:
        new, old = mine.column(name), theirs.column(name)
        if new.fixed != old.fixed:
            return f"the fixed part of column {name}: {old.fixed} before, {new.fixed} now"
        for block, after, before in zip(mine.blocks, new.values, old.values, strict=False):
            if len(after) != len(before):
                return f"the choices of block {block.name}: {len(before)} before, {len(after)} now"
            if (after != before).any():
                at = int((after != before).argmax())
                return f"column {name} of block {block.name}, choice {at}: {before[at]} before, {after[at]} now"
    return (
        "the problem (its fingerprint differs): its choices, ties, pins, forbidden choices, functions, or what they use"
    )
