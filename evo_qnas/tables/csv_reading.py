"""Content of tables from long CSV: one row per choice.

The header is `block,operator,weight_bits,activation_bits` and one name per column, with `<name>_stderr` for standard
errors. Names that a spreadsheet would run are marked with an apostrophe (`spreadsheets`). Lines that begin with `#`
are comments, and comments of the form `# {json}` carry what rows cannot:
`{"column": "size_bytes", "unit": "bytes", "direction": "minimize", "fixed": 120.0, "source": "counted"}`,
`{"baseline": "teacher_int8", "genome": [3, 3, 0]}` and `{"tie": ["layer3", "layer5"]}`.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.reading import parse_json, shown
from evo_qnas.spreadsheets import unmarked
from evo_qnas.tables.content import Content
from evo_qnas.tables.parts import Block, Column, Direction
from evo_qnas.tables.units import unit_of

KEYS = ("block", "operator", "weight_bits", "activation_bits")
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
    """Header, rows and comments read so far."""

    header: list[str] = field(default_factory=list)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, list[int]] = field(default_factory=dict)
    ties: list[tuple[str, ...]] = field(default_factory=list)


def read_csv(
    path: str | Path, *, units: Mapping[str, str] | None = None, directions: Mapping[str, Direction] | None = None
) -> Content:
    """The content of a long CSV file; an empty cell is NaN.

    Args:
        path: the file, UTF-8.
        units: units by column name; they win over the file's. Where neither knows one, `latency_ms` is in ms,
            `size_bytes` in bytes, and so on by the name's ending.
        directions: directions by column name; they win over the file's.

    Raises:
        TableError: one sentence with file and line.
    """
    file = Path(path)
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            scanned = _scan(file, handle)
    except OSError as error:
        raise TableError(f"tables file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TableError(f"{file} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    names = _column_names(file, scanned.header)
    known = set(names)
    for name in (*(units or {}), *(directions or {}), *scanned.columns):
        if name not in known:
            raise TableError(f"{file} has no column {name!r} to describe; there are: {', '.join(names)}")
    return _assemble(file, scanned, names, units or {}, directions or {})


def _scan(file: Path, lines: Iterable[str]) -> _Rows:
    """Header, rows with their line numbers, and the facts in comments."""
    scanned, reader, number = _Rows(), _Counted(lines), 0
    parser = csv.reader(reader, strict=True)
    try:
        for cells in parser:
            number = reader.number
            if cells and cells[0].lstrip().startswith("#"):
                _comment(file, number, reader.last, scanned)
            elif not any(cell.strip() for cell in cells):
                continue
            elif not scanned.header:
                scanned.header = [unmarked(cell.strip()) for cell in cells]
            elif len(cells) != len(scanned.header):
                raise TableError(f"{file}, line {number}: {len(cells)} cells, the header has {len(scanned.header)}")
            else:
                scanned.rows.append((number, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise TableError(f"{file}, line {reader.number}: no readable CSV: {error}") from error
    if not scanned.rows:
        raise TableError(f"{file} has no rows: the header is {','.join(KEYS)},<columns> and each choice is a row")
    return scanned


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


def _comment(file: Path, number: int, line: str, scanned: _Rows) -> None:
    """Takes in a comment; plain ones carry no facts."""
    text = line.strip().lstrip("#").strip()
    if not text.startswith("{"):
        return
    where = f"{file}, line {number}"
    facts = parse_json(text, f"{where}: the comment", TableError)
    if isinstance(facts.get("column"), str):
        for key, value in facts.items():
            if key != "column" and (key not in _META or not isinstance(value, _META[key])):
                raise TableError(f"{where}: a column has {', '.join(_META)}, not {key} = {value!r}")
        if facts.get("direction", "minimize") not in ("minimize", "maximize"):
            raise TableError(f"{where}: the direction is minimize or maximize, not {facts['direction']!r}")
        if facts.get("combine", "sum") not in ("sum", "max"):
            raise TableError(f"{where}: blocks combine by sum or max, not {facts['combine']!r}")
        scanned.columns[facts["column"]] = facts
    elif isinstance(facts.get("baseline"), str) and _all(facts.get("genome"), int):
        scanned.baselines[facts["baseline"]] = facts["genome"]
    elif _all(facts.get("tie"), str):
        scanned.ties.append(tuple(facts["tie"]))
    else:
        raise TableError(f"{where}: a comment in braces describes a column, a baseline with its genome, or a tie")


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) for value in values)


def _column_names(file: Path, header: list[str]) -> list[str]:
    """Names of the value columns, standard errors left out."""
    for key in KEYS:
        if key not in header:
            raise TableError(
                f"{file} has no column {key!r}: the header must be {','.join(KEYS)} and at least one score or cost"
            )
    for name, count in Counter(header).items():
        if count > 1:
            raise TableError(f"{file}: the column {name!r} is there {count} times")
        if not name:
            raise TableError(f"{file}: column {header.index(name) + 1} of the header has no name")
    names = [name for name in header if name not in KEYS and not name.endswith("_stderr")]
    known = set(names)
    for name in header:
        if name.endswith("_stderr") and name.removesuffix("_stderr") not in known:
            raise TableError(f"{file} has {name!r} without the column {name.removesuffix('_stderr')!r}")
    if not names:
        raise TableError(f"{file} has no score or cost beside {', '.join(KEYS)}")
    return names


def _assemble(
    file: Path, scanned: _Rows, names: list[str], units: Mapping[str, str], directions: Mapping[str, Direction]
) -> Content:
    """The content of the rows that were read."""
    at = {name: index for index, name in enumerate(scanned.header)}
    groups: dict[str, list[tuple[int, list[str]]]] = {}
    for number, cells in scanned.rows:
        if not cells[at["block"]] or not cells[at["operator"]]:
            raise TableError(f"{file}, line {number}: block and operator must not be empty")
        groups.setdefault(unmarked(cells[at["block"]]), []).append((number, cells))

    def values(name: str) -> tuple[np.ndarray, ...]:
        return tuple(
            np.array([_number(file, number, name, cells[at[name]]) for number, cells in rows])
            for rows in groups.values()
        )

    try:
        columns = {
            name: _column(
                file,
                name,
                values(name),
                values(f"{name}_stderr") if f"{name}_stderr" in at else None,
                {**scanned.columns.get(name, {}), **_stated(name, units, directions)},
            )
            for name in names
        }
        return Content(
            blocks=tuple(_block(file, name, rows, at) for name, rows in groups.items()),
            columns=MappingProxyType(columns),
            baselines=MappingProxyType({name: tuple(genome) for name, genome in scanned.baselines.items()}),
            ties=tuple(scanned.ties),
        )
    except TableError as error:
        text = str(error)
        raise TableError(text if text.startswith(str(file)) else f"{file}: {text}") from error


def _stated(name: str, units: Mapping[str, str], directions: Mapping[str, Direction]) -> dict[str, str]:
    """Unit and direction that the caller states."""
    stated: dict[str, str] = {"unit": units[name]} if name in units else {}
    return stated | ({"direction": directions[name]} if name in directions else {})


def _column(
    file: Path, name: str, values: tuple[np.ndarray, ...], stderr: tuple[np.ndarray, ...] | None, stated: dict[str, Any]
) -> Column:
    """A column with what is known of it; an ending such as _ms says the unit where nothing else does."""
    return Column(
        name=name,
        values=values,
        stderr=stderr,
        unit=stated.get("unit", unit_of(name)),
        direction=stated.get("direction", "minimize"),
        source=stated.get("source", f"CSV file {file.name}"),
        fixed=float(stated.get("fixed", 0.0)),
        combine=stated.get("combine", "sum"),
        details=MappingProxyType(stated.get("details", {})),
    )


def _block(file: Path, name: str, rows: list[tuple[int, list[str]]], at: Mapping[str, int]) -> Block:
    """One block's choices; refuses a choice that is there twice."""
    lines: dict[tuple[str, int, int], int] = {}
    for number, cells in rows:
        bits = [_bits(file, number, key, cells[at[key]]) for key in ("weight_bits", "activation_bits")]
        label = (unmarked(cells[at["operator"]]), bits[0], bits[1])
        if label in lines:
            raise TableError(
                f"{file}, line {number}: block {name!r} has the choice {label[0]} {label[1]}/{label[2]} already "
                f"in line {lines[label]}"
            )
        lines[label] = number
    return Block(
        name=name,
        operators=tuple(label[0] for label in lines),
        weight_bits=np.array([label[1] for label in lines], dtype=np.int64),
        activation_bits=np.array([label[2] for label in lines], dtype=np.int64),
    )


def _bits(file: Path, number: int, key: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) < 4 and int(cell) <= 64):
        raise TableError(f"{file}, line {number}: {key} must be a whole number from 0 to 64, got {shown(cell)}")
    return int(cell)


def _number(file: Path, line: int, name: str, cell: str) -> float:
    if not cell:
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        raise TableError(f"{file}, line {line}: {name} must be a number, got {shown(cell)}") from None
    if math.isinf(value) and "inf" not in cell.lower():
        raise TableError(f"{file}, line {line}: {name} is beyond all numbers, got {shown(cell)}")
    return value
