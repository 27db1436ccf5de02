"""Measurements of devices that are not here, joined into tables from CSV: one row per timing.

The header is `block,operator,weight_bits,activation_bits,mean,spread,device` and, where needed, `metric` (`latency`
where absent) and `unit` (`ms` where absent). Bits are numbers, `*` for all, or `<8` for activation bits below 8; where
several rows fit a choice, the most exact one counts. The block `(fixed)` is the fixed part. Each device and metric
becomes a column `metric_unit@device`, for example `latency_ms@pi4` or `energy_mj@pi4`.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from evo_qnas.cards import nearest
from evo_qnas.errors import TableError
from evo_qnas.spreadsheets import unmarked
from evo_qnas.tables.parts import Block
from evo_qnas.tables.tables import Tables

FIXED = "(fixed)"
_KEYS = ("block", "operator", "weight_bits", "activation_bits", "mean", "spread", "device")
_OPTIONAL = ("metric", "unit")
_ALL, _FEWER = "*", "<8"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One measurement; `where` names file and line."""

    where: str
    column: str
    unit: str
    block: str
    operator: str
    weight: str
    activation: str
    mean: float
    spread: float

    def fits(self, label: tuple[str, int, int]) -> bool:
        """True for a measurement of this choice."""
        operator, weight, activation = label
        few = self.activation == _FEWER and 0 < activation < 8
        return (
            self.operator == operator
            and self.weight in (_ALL, str(weight))
            and (few or self.activation in (_ALL, str(activation)))
        )

    @property
    def exactness(self) -> int:
        """More for numbers than for `<8`, more for that than for `*`."""
        activation = 0 if self.activation == _ALL else 1 if self.activation == _FEWER else 2
        return activation + (0 if self.weight == _ALL else 4)


def join_measured(tables: Tables, path: str | Path) -> tuple[Tables, tuple[str, ...]]:
    """Tables with the columns that a CSV of measurements gives, and their names; old ones of these names are replaced.

    Raises:
        TableError: one sentence with file and line: a row names no block or operator of the tables, is there twice, or
            its numbers are negative or none; a choice has no row; a device's rows are in two units.
    """
    file = Path(path)
    columns: dict[str, list[_Row]] = {}
    for row in _rows(file, tables):
        columns.setdefault(row.column, []).append(row)
    if not columns:
        raise TableError(f"{file} has no rows: the header is {','.join(_KEYS)} and each measurement is a row")
    for name, rows in columns.items():
        tables = _with_column(tables, file, name, rows)
    return tables, tuple(columns)


def _rows(file: Path, tables: Tables) -> Iterator[_Row]:
    """The rows of the file, each checked by itself and against those before it."""
    lines: dict[tuple[str, ...], str] = {}
    units: dict[str, tuple[str, str]] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader((line for line in handle), strict=True)
            _check_header(file, reader.fieldnames)
            for cells in reader:
                where = f"{file}, line {reader.line_num}"
                if None in cells or None in cells.values():
                    raise TableError(f"{where}: the row does not have as many cells as the header")
                row = _row(where, {str(key): str(cell).strip() for key, cell in cells.items()}, tables)
                key = (row.column, row.block, row.operator, row.weight, row.activation)
                if key in lines:
                    raise TableError(f"{where}: block {row.block!r}, {_named(row)} is already in line {lines[key]}")
                lines[key] = str(reader.line_num)
                measured = row.column.partition("@")
                kind = f"{measured[0].removesuffix(f'_{row.unit.lower()}')}@{measured[2]}"
                unit, line = units.setdefault(kind, (row.unit, str(reader.line_num)))
                if unit != row.unit:
                    raise TableError(f"{where}: the unit of {kind} is {row.unit!r}, in line {line} it is {unit!r}")
                yield row
    except OSError as error:
        raise TableError(f"measurements {file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{file} is no readable CSV: {error}") from error


def _check_header(file: Path, header: object) -> None:
    names = [str(name).strip() for name in header] if isinstance(header, (list, tuple)) else []
    for key in _KEYS:
        if key not in names:
            raise TableError(
                f"{file} has no column {key!r}: the header is {','.join(_KEYS)}, and metric,unit if needed"
            )
    for name in names:
        if name not in (*_KEYS, *_OPTIONAL):
            raise TableError(f"{file}: there is no use for the column {name!r}; {nearest(name, [*_KEYS, *_OPTIONAL])}")


def _row(where: str, cells: dict[str, str], tables: Tables) -> _Row:
    """One row, checked by itself."""
    block, operator, device = (unmarked(cells[key]) for key in ("block", "operator", "device"))
    if block != FIXED:
        if block not in tables.names:
            raise TableError(f"{where}: the tables have no block {block!r}; {nearest(block, list(tables.names))}")
        known = list(dict.fromkeys(tables.blocks[tables.names.index(block)].operators))
        if operator not in known:
            raise TableError(f"{where}: block {block!r} has no operator {operator!r}; {nearest(operator, known)}")
        for key, words in (("weight_bits", (_ALL,)), ("activation_bits", (_ALL, _FEWER))):
            if cells[key] not in words and not (cells[key].isascii() and cells[key].isdigit()):
                raise TableError(f"{where}: {key} must be a number or {' or '.join(words)}, got {cells[key]!r}")
    if not device:
        raise TableError(f"{where}: device must not be empty")
    unit = cells.get("unit") or "ms"
    metric = cells.get("metric") or "latency"
    return _Row(
        where=where,
        column=f"{metric.removesuffix(f'_{unit.lower()}')}_{unit.lower()}@{device}",
        unit=unit,
        block=block,
        operator=operator,
        weight=cells["weight_bits"],
        activation=cells["activation_bits"],
        mean=_number(where, "mean", cells["mean"]),
        spread=_number(where, "spread", cells["spread"] or "0"),
    )


def _number(where: str, key: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise TableError(f"{where}: {key} must be a number, got {cell!r}") from None
    if not math.isfinite(value) or value < 0:
        raise TableError(f"{where}: {key} must be a finite number of at least 0, got {cell}")
    return value


def _named(row: _Row) -> str:
    return f"{row.operator} {row.weight}/{row.activation} of {row.column}"


def _with_column(tables: Tables, file: Path, name: str, rows: list[_Row]) -> Tables:
    """Tables with one more column; every choice must have a row."""
    values, spreads, missing = [], [], []
    for block in tables.blocks:
        chosen = [_chosen(block, label, rows) for label in block.labels]
        missing += [(block.name, label) for label, row in zip(block.labels, chosen, strict=True) if row is None]
        values.append(np.array([math.nan if row is None else row.mean for row in chosen]))
        spreads.append(np.array([math.nan if row is None else row.spread for row in chosen]))
    if missing:
        block_name, (operator, weight, activation) = missing[0]
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise TableError(
            f"{file} has no row of {name} for block {block_name!r}, choice {operator} {weight}/{activation}{more}: "
            "measure every choice; * and <8 stand for several bits"
        )
    fixed = [row.mean for row in rows if row.block == FIXED]
    return tables.with_column(
        name,
        values,
        stderr=spreads,
        fixed=fixed[0] if fixed else 0.0,
        unit=rows[0].unit,
        source=f"measured on {name.partition('@')[2]}: {file.name}; a plain sum of blocks"
        + ("" if fixed else ", without the fixed part"),
    )


def _chosen(block: Block, label: tuple[str, int, int], rows: list[_Row]) -> _Row | None:
    """The most exact row of a choice."""
    fitting = [row for row in rows if row.block == block.name and row.fits(label)]
    return max(fitting, key=lambda row: row.exactness) if fitting else None
