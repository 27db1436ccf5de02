"""The content of tables: blocks, columns, baselines and ties that fit each other; what files hold and checks read."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Int

from evo_qnas.errors import TableError
from evo_qnas.tables.parts import Block, Column, check_name


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Blocks, columns, baselines and ties that fit each other; `Tables` is made of it.

    Attributes:
        blocks: the blocks in network order.
        columns: the columns by name.
        baselines: named genomes, for example `teacher_int8`.
        ties: groups of block names that share one choice.
    """

    blocks: tuple[Block, ...]
    columns: Mapping[str, Column]
    baselines: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))
    ties: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuses parts that do not fit each other; what is merely odd is left to `check`."""
        _check_blocks(self.blocks)
        self._check_columns()
        self._check_baselines()
        known = set(self.names)
        for tie in self.ties:
            for name in tie:
                if name not in known:
                    raise TableError(f"the tie {list(tie)} names the block {name!r}, which the tables do not have")

    def _check_columns(self) -> None:
        """Refuses columns under another name, or without one value per choice."""
        shapes = [(len(block),) for block in self.blocks]
        for name, column in self.columns.items():
            if name != column.name:
                raise TableError(f"the column under {name!r} is called {column.name!r}: use one name")
            for part in (column.values, column.stderr):
                if part is not None and [values.shape for values in part] != shapes:
                    raise TableError(f"column {name!r} does not have one value per choice of every block")

    def _check_baselines(self) -> None:
        """Refuses baselines that are no genomes, or whose names no file could hold."""
        for name, genome in self.baselines.items():
            check_name("baseline", name)
            if "/" in name:
                raise TableError(f"baseline name {name!r} must not contain /")
            if len(genome) != len(self.blocks) or any(
                not 0 <= value < len(block) for value, block in zip(genome, self.blocks, strict=True)
            ):
                raise TableError(f"baseline {name!r} is no genome of these tables: {list(genome)}")

    def __reduce__(self) -> tuple[Any, ...]:
        """For worker processes: read-only mappings cannot be pickled."""
        return _rebuild, (self.blocks, dict(self.columns), dict(self.baselines), self.ties)

    @property
    def names(self) -> tuple[str, ...]:
        """Block names in network order."""
        return tuple(block.name for block in self.blocks)

    @property
    def choices(self) -> Int[np.ndarray, " blocks"]:
        """(blocks,) int64: the number of choices of each block."""
        return np.array([len(block) for block in self.blocks], dtype=np.int64)

    def column(self, name: str) -> Column:
        """The column called `name`.

        Raises:
            TableError: there is none; the text lists those that there are.
        """
        if name not in self.columns:
            raise TableError(f"the tables have no column {name!r}; there are: {', '.join(self.columns)}")
        return self.columns[name]

    def keep(self, kept: Sequence[Bool[np.ndarray, " _"]]) -> "Content":
        """The content with only the choices that are marked, in the old order; baselines that lose a choice go.

        Args:
            kept: per block a mark for each choice.

        Raises:
            TableError: a block would have no choice left.
        """
        renumbered = [np.cumsum(mark) - 1 for mark in kept]
        baselines = {
            name: tuple(int(new[value]) for new, value in zip(renumbered, genome, strict=True))
            for name, genome in self.baselines.items()
            if all(mark[value] for mark, value in zip(kept, genome, strict=True))
        }
        return Content(
            blocks=tuple(_fewer(block, mark) for block, mark in zip(self.blocks, kept, strict=True)),
            columns=MappingProxyType({name: _keep(column, kept) for name, column in self.columns.items()}),
            baselines=MappingProxyType(baselines),
            ties=self.ties,
        )

    def without_nan(self, columns: Sequence[str] | None = None) -> "Content":
        """The content without the choices that have a NaN in one of `columns` (in any column where None)."""
        names = list(self.columns) if columns is None else list(columns)
        return self.keep(
            [
                ~np.any(
                    [np.isnan(self.column(name).values[index]) for name in names] or [np.zeros(len(block), bool)],
                    axis=0,
                )
                for index, block in enumerate(self.blocks)
            ]
        )

    def restricted(self, allowed: Mapping[str, Sequence[int]]) -> "Content":
        """The content in which the named blocks keep only the choices with the given indices.

        Raises:
            TableError: there is no such block or choice.
        """
        for name, choices in allowed.items():
            if name not in self.names:
                raise TableError(f"there is no block {name!r} to restrict; there are: {', '.join(self.names)}")
            count = len(self.blocks[self.names.index(name)])
            for choice in choices:
                if not 0 <= choice < count:
                    raise TableError(f"block {name!r} has the choices 0 .. {count - 1}, not {choice}")
        return self.keep(
            [
                np.isin(np.arange(len(block)), allowed[block.name])
                if block.name in allowed
                else np.ones(len(block), dtype=bool)
                for block in self.blocks
            ]
        )


def _rebuild(
    blocks: tuple[Block, ...],
    columns: dict[str, Column],
    baselines: dict[str, tuple[int, ...]],
    ties: tuple[tuple[str, ...], ...],
) -> Content:
    """The content of its parts."""
    return Content(blocks=blocks, columns=MappingProxyType(columns), baselines=MappingProxyType(baselines), ties=ties)


def _fewer(block: Block, mark: Bool[np.ndarray, " choices"]) -> Block:
    """The block with the marked choices."""
    if not mark.any():
        raise TableError(f"block {block.name!r} would have no choice left: keep at least one of its {len(block)}")
    return Block(
        name=block.name,
        operators=tuple(name for name, keep in zip(block.operators, mark, strict=True) if keep),
        weight_bits=block.weight_bits[mark],
        activation_bits=block.activation_bits[mark],
    )


def _keep(column: Column, kept: Sequence[Bool[np.ndarray, " _"]]) -> Column:
    """The column with the marked choices."""
    values = tuple(value[mark] for value, mark in zip(column.values, kept, strict=True))
    errors = column.stderr
    stderr = None if errors is None else tuple(error[mark] for error, mark in zip(errors, kept, strict=True))
    return replace(column, values=values, stderr=stderr)


def _check_blocks(blocks: tuple[Block, ...]) -> None:
    """Refuses tables without blocks or with one name twice."""
    for block in blocks:
        if not isinstance(block, Block):
            raise TableError(f"blocks must be Block(name=.., operators=.., ..) each, got {block!r}")
    if not blocks:
        raise TableError("tables need at least one block")
    for name, count in Counter(block.name for block in blocks).items():
        if count > 1:
            raise TableError(f"block names must differ: {name!r} is there {count} times")
