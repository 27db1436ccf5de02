"""Content of tables to long CSV; the layout is that of `csv_reading`."""

import csv
import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.files import write_text
from evo_qnas.spreadsheets import marked
from evo_qnas.tables.content import Content
from evo_qnas.tables.csv_reading import KEYS
from evo_qnas.tables.parts import Column


def write_csv(content: Content, path: str | Path, *, formulas: bool = False) -> None:
    """Writes `content` as long CSV; read again it is equal, bit for bit.

    Raises:
        TableError: a block has one choice twice, which rows cannot tell apart.
    """
    write_text(path, csv_text(content, formulas=formulas))


def csv_text(content: Content, *, formulas: bool = False) -> str:
    """The text of `write_csv`; `formulas` leaves names that a spreadsheet would run as they are."""
    # A name that looks as if it were marked is marked either way, so that it comes back.
    shown = partial(marked, formulas=formulas)
    lines = [json.dumps(_description(column)) for column in content.columns.values()]
    lines += [json.dumps({"baseline": name, "genome": list(genome)}) for name, genome in content.baselines.items()]
    lines += [json.dumps({"tie": list(tie)}) for tie in content.ties]
    parts: list[tuple[str, tuple[np.ndarray, ...]]] = []
    for column in content.columns.values():
        parts.append((column.name, column.values))
        if column.stderr is not None:
            parts.append((f"{column.name}_stderr", column.stderr))
    rows: list[list[str]] = [[*KEYS, *(shown(name) for name, _ in parts)]]
    for index, block in enumerate(content.blocks):
        labels = block.labels
        if len(set(labels)) < len(labels):
            raise TableError(f"block {block.name!r} has a choice twice, which CSV cannot hold: see Tables.check")
        for choice, label in enumerate(labels):
            numbers = [repr(float(values[index][choice])) for _, values in parts]
            rows.append([shown(block.name), shown(label[0]), *map(str, label[1:]), *numbers])
    return "".join(f"# {line}\n" for line in lines) + _joined(rows)


def _description(column: Column) -> dict[str, Any]:
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
