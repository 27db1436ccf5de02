"""New tables from tables: fewer choices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool

from evo_qnas.errors import TableError
from evo_qnas.tables.parts import Block, Column
from evo_qnas.tables.tables import Tables


def keep_choices(tables: Tables, kept: Sequence[Bool[np.ndarray, " _"]]) -> Tables:
    """Tables with only the choices that are marked, in the old order; baselines that lose a choice go.

    Args:
        tables: the tables.
        kept: per block a mark for each choice.

    Raises:
        TableError: a block would have no choice left.
    """
    blocks = []
    for block, mark in zip(tables.blocks, kept, strict=True):
        if not mark.any():
            raise TableError(f"block {block.name!r} would have no choice left: keep at least one of its {len(block)}")
        operators = tuple(name for name, keep in zip(block.operators, mark, strict=True) if keep)
        blocks.append(
            Block(
                name=block.name,
                operators=operators,
                weight_bits=block.weight_bits[mark],
                activation_bits=block.activation_bits[mark],
            )
        )
    columns = {name: _keep(column, kept) for name, column in tables.columns.items()}
    renumbered = [np.cumsum(mark) - 1 for mark in kept]
    baselines = {
        name: tuple(int(new[value]) for new, value in zip(renumbered, genome, strict=True))
        for name, genome in tables.baselines.items()
        if all(mark[value] for mark, value in zip(kept, genome, strict=True))
    }
    return Tables(
        blocks=tuple(blocks),
        columns=MappingProxyType(columns),
        baselines=MappingProxyType(baselines),
        ties=tables.ties,
    )


def _keep(column: Column, kept: Sequence[Bool[np.ndarray, " _"]]) -> Column:
    values = tuple(value[mark] for value, mark in zip(column.values, kept, strict=True))
    errors = column.stderr
    stderr = None if errors is None else tuple(error[mark] for error, mark in zip(errors, kept, strict=True))
    return replace(column, values=values, stderr=stderr)


def drop_nan(tables: Tables, columns: Sequence[str] | None = None) -> Tables:
    """Tables without the choices that have a NaN in one of `columns` (all columns where None)."""
    names = list(tables.columns) if columns is None else list(columns)
    kept = [
        ~np.any([np.isnan(tables.column(name).values[index]) for name in names] or [np.zeros(len(block), bool)], axis=0)
        for index, block in enumerate(tables.blocks)
    ]
    return keep_choices(tables, kept)


def restrict(tables: Tables, allowed: Mapping[str, Sequence[int]]) -> Tables:
    """Tables in which the named blocks keep only the choices with the given indices.

    Raises:
        TableError: there is no such block or choice.
    """
    for name, choices in allowed.items():
        if name not in tables.names:
            raise TableError(f"there is no block {name!r} to restrict; there are: {', '.join(tables.names)}")
        count = len(tables.blocks[tables.names.index(name)])
        for choice in choices:
            if not 0 <= choice < count:
                raise TableError(f"block {name!r} has the choices 0 .. {count - 1}, not {choice}")
    everything = {block.name: np.ones(len(block), dtype=bool) for block in tables.blocks}
    marks = {name: np.isin(np.arange(len(mark)), allowed.get(name, ())) for name, mark in everything.items()}
    return keep_choices(tables, [marks[name] if name in allowed else everything[name] for name in tables.names])
