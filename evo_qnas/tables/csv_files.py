"""Tables to and from long CSV: one row per choice.

The header is `block,operator,weight_bits,activation_bits` and one name per column, with `<name>_stderr` for standard
errors. Lines that begin with `#` are comments, and comments of the form `# {json}` carry what rows cannot:
`{"column": "size_bytes", "unit": "bytes", "direction": "minimize", "fixed": 120.0, "source": "counted"}`,
`{"baseline": "teacher_int8", "genome": [3, 3, 0]}` and `{"tie": ["layer3", "layer5"]}`.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.files import write_text
from evo_qnas.tables.parts import Block, Column, Direction
from evo_qnas.tables.tables import Tables

_KEYS = ("block", "operator", "weight_bits", "activation_bits")
_UNITS = {"_ms": "ms", "_us": "us", "_bytes": "bytes", "_mj": "mJ"}
_META: dict[str, tuple[type, ...]] = {
    "unit": (str,),
    "direction": (str,),
    "source": (str,),
    "fixed": (int, float),
    "combine": (str,),
    "details": (dict,),
}


@final
@dataclass(slots=True)
class _Rows:
    """What has been read so far."""

    header: list[str] = field(default_factory=list)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, list[int]] = field(default_factory=dict)
    ties: list[tuple[str, ...]] = field(default_factory=list)


def read_csv(
    path: str | Path, *, units: Mapping[str, str] | None = None, directions: Mapping[str, Direction] | None = None
) -> Tables:
    """Tables of a long CSV file; an empty cell is NaN.

    Args:
        path: the file, UTF-8.
        units: units by column name; they win over the file's. Where neither knows one, `latency_ms` is in ms,
            `size_bytes` in bytes, and so on by the name's ending.
        directions: directions by column name; they win over the file's.

    Raises:
        TableError: one sentence with file and line.
    """
    place = Path(path)
    try:
        with place.open(encoding="utf-8-sig", newline="") as handle:
            found = _scan(place, handle)
    except OSError as error:
        raise TableError(f"tables file {place} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{place} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    names = _column_names(place, found.header)
    for name in (*(units or {}), *(directions or {}), *found.columns):
        if name not in names:
            raise TableError(f"{place} has no column {name!r} to describe; there are: {', '.join(names)}")
    return _assemble(place, found, names, units or {}, directions or {})


def _scan(place: Path, lines: Iterable[str]) -> _Rows:
    """Header, rows with their line numbers, and what the comments say."""
    found, reader, number = _Rows(), _Counted(lines), 0
    parser = csv.reader(reader, strict=True)
    try:
        for cells in parser:
            number = reader.number
            if cells and cells[0].lstrip().startswith("#"):
                _comment(place, number, reader.last, found)
            elif not any(cell.strip() for cell in cells):
                continue
            elif not found.header:
                found.header = [cell.strip() for cell in cells]
            elif len(cells) != len(found.header):
                raise TableError(f"{place}, line {number}: {len(cells)} cells, the header has {len(found.header)}")
            else:
                found.rows.append((number, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise TableError(f"{place}, line {reader.number}: no readable CSV: {error}") from error
    if not found.rows:
        raise TableError(f"{place} has no rows: the header is {','.join(_KEYS)},<columns> and each choice is a row")
    return found


@final
class _Counted:
    """Lines with their number; comments are quoted so that CSV does not cut them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.number = 0
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._lines)
        self.number += 1
        return "#\n" if self.last.lstrip().startswith("#") else self.last


def _comment(place: Path, number: int, line: str, found: _Rows) -> None:
    """Takes in a comment; plain ones say nothing to us."""
    text = line.strip().lstrip("#").strip()
    if not text.startswith("{"):
        return
    where = f"{place}, line {number}"
    try:
        given = json.loads(text)
    except ValueError as error:
        raise TableError(f"{where}: the comment is no JSON: {error}") from error
    if isinstance(given.get("column"), str):
        for key, value in given.items():
            if key != "column" and (key not in _META or not isinstance(value, _META[key])):
                raise TableError(f"{where}: a column has {', '.join(_META)}, not {key} = {value!r}")
        if given.get("direction", "minimize") not in ("minimize", "maximize"):
            raise TableError(f"{where}: the direction is minimize or maximize, not {given['direction']!r}")
        if given.get("combine", "sum") not in ("sum", "max"):
            raise TableError(f"{where}: blocks combine by sum or max, not {given['combine']!r}")
        found.columns[given["column"]] = given
    elif isinstance(given.get("baseline"), str) and _all(given.get("genome"), int):
        found.baselines[given["baseline"]] = given["genome"]
    elif _all(given.get("tie"), str):
        found.ties.append(tuple(given["tie"]))
    else:
        raise TableError(f"{where}: a comment in braces describes a column, a baseline with its genome, or a tie")


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _column_names(place: Path, header: list[str]) -> list[str]:
    """Names of the value columns, standard errors left out."""
    for key in _KEYS:
        if key not in header:
            raise TableError(
                f"{place} has no column {key!r}: the header must be {','.join(_KEYS)} and at least one score or cost"
            )
    for name in header:
        if header.count(name) > 1:
            raise TableError(f"{place}: the column {name!r} is there {header.count(name)} times")
        if not name:
            raise TableError(f"{place}: column {header.index(name) + 1} of the header has no name")
    names = [name for name in header if name not in _KEYS and not name.endswith("_stderr")]
    for name in header:
        if name.endswith("_stderr") and name.removesuffix("_stderr") not in names:
            raise TableError(f"{place} has {name!r} without the column {name.removesuffix('_stderr')!r}")
    if not names:
        raise TableError(f"{place} has no score or cost beside {', '.join(_KEYS)}")
    return names


def _assemble(
    place: Path, found: _Rows, names: list[str], units: Mapping[str, str], directions: Mapping[str, Direction]
) -> Tables:
    """Tables of the rows that were read."""
    at = {name: index for index, name in enumerate(found.header)}
    groups: dict[str, list[tuple[int, list[str]]]] = {}
    for number, cells in found.rows:
        if not cells[at["block"]] or not cells[at["operator"]]:
            raise TableError(f"{place}, line {number}: block and operator must not be empty")
        groups.setdefault(cells[at["block"]], []).append((number, cells))

    def values(name: str) -> tuple[np.ndarray, ...]:
        return tuple(
            np.array([_number(place, number, name, cells[at[name]]) for number, cells in rows])
            for rows in groups.values()
        )

    try:
        columns = {
            name: _column(
                place,
                name,
                values(name),
                values(f"{name}_stderr") if f"{name}_stderr" in at else None,
                {**found.columns.get(name, {}), **_given(name, units, directions)},
            )
            for name in names
        }
        return Tables(
            blocks=tuple(_block(place, name, rows, at) for name, rows in groups.items()),
            columns=MappingProxyType(columns),
            baselines=MappingProxyType({name: tuple(genome) for name, genome in found.baselines.items()}),
            ties=tuple(found.ties),
        )
    except TableError as error:
        text = str(error)
        raise TableError(text if text.startswith(str(place)) else f"{place}: {text}") from error


def _given(name: str, units: Mapping[str, str], directions: Mapping[str, Direction]) -> dict[str, str]:
    """What the caller says of a column."""
    said: dict[str, str] = {"unit": units[name]} if name in units else {}
    return said | ({"direction": directions[name]} if name in directions else {})


def _column(
    place: Path, name: str, values: tuple[np.ndarray, ...], stderr: tuple[np.ndarray, ...] | None, said: dict[str, Any]
) -> Column:
    """A column with what is known of it; an ending such as _ms says the unit where nothing else does."""
    guessed = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "1")
    return Column(
        name=name,
        values=values,
        stderr=stderr,
        unit=said.get("unit", guessed),
        direction=said.get("direction", "minimize"),
        source=said.get("source", f"CSV file {place.name}"),
        fixed=float(said.get("fixed", 0.0)),
        combine=said.get("combine", "sum"),
        details=MappingProxyType(said.get("details", {})),
    )


def _block(place: Path, name: str, rows: list[tuple[int, list[str]]], at: Mapping[str, int]) -> Block:
    """One block's choices; refuses a choice that is there twice."""
    seen: dict[tuple[str, int, int], int] = {}
    for number, cells in rows:
        bits = [_bits(place, number, key, cells[at[key]]) for key in ("weight_bits", "activation_bits")]
        label = (cells[at["operator"]], bits[0], bits[1])
        if label in seen:
            raise TableError(
                f"{place}, line {number}: block {name!r} has the choice {label[0]} {label[1]}/{label[2]} already "
                f"in line {seen[label]}"
            )
        seen[label] = number
    return Block(
        name=name,
        operators=tuple(label[0] for label in seen),
        weight_bits=np.array([label[1] for label in seen], dtype=np.int64),
        activation_bits=np.array([label[2] for label in seen], dtype=np.int64),
    )


def _bits(place: Path, number: int, key: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) < 4 and int(cell) <= 64):
        raise TableError(f"{place}, line {number}: {key} must be a whole number from 0 to 64, got {cell!r}")
    return int(cell)


def _number(place: Path, line: int, name: str, cell: str) -> float:
    if not cell:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise TableError(f"{place}, line {line}: {name} must be a number, got {cell!r}") from None


def write_csv(tables: Tables, path: str | Path) -> None:
    """Writes `tables` as long CSV; read again they are equal, bit for bit.

    Raises:
        TableError: a block has one choice twice, which rows cannot tell apart.
    """
    write_text(path, csv_text(tables))


def csv_text(tables: Tables) -> str:
    """The text of `write_csv`."""
    lines = [json.dumps(_described(column)) for column in tables.columns.values()]
    lines += [json.dumps({"baseline": name, "genome": list(genome)}) for name, genome in tables.baselines.items()]
    lines += [json.dumps({"tie": list(tie)}) for tie in tables.ties]
    parts: list[tuple[str, tuple[np.ndarray, ...]]] = []
    for column in tables.columns.values():
        parts.append((column.name, column.values))
        if column.stderr is not None:
            parts.append((f"{column.name}_stderr", column.stderr))
    rows: list[list[str]] = [[*_KEYS, *(name for name, _ in parts)]]
    for index, block in enumerate(tables.blocks):
        labels = block.labels
        if len(set(labels)) < len(labels):
            raise TableError(f"block {block.name!r} has a choice twice, which CSV cannot hold: see Tables.check")
        for choice, label in enumerate(labels):
            numbers = [repr(float(values[index][choice])) for _, values in parts]
            rows.append([block.name, *map(str, label), *numbers])
    return "".join(f"# {line}\n" for line in lines) + _joined(rows)


def _described(column: Column) -> dict[str, Any]:
    return {
        "column": column.name,
        "unit": column.unit,
        "direction": column.direction,
        "fixed": column.fixed,
        "source": column.source,
        **({"combine": column.combine} if column.combine != "sum" else {}),
        **({"details": dict(column.details)} if column.details else {}),
    }


def _joined(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
