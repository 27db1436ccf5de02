"""Tables: per block and choice the scores and costs that a search adds up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import TableError

Direction = Literal["minimize", "maximize"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The choices of one block, in the order of their indices in a genome.

    Attributes:
        name: unique among the blocks of the tables.
        operators: (choices,) operator names.
        weight_bits: (choices,) int64, bits; 0 where the tables know none.
        activation_bits: (choices,) int64, bits; 0 where the tables know none.
    """

    name: str
    operators: tuple[str, ...]
    weight_bits: Int[np.ndarray, " choices"]
    activation_bits: Int[np.ndarray, " choices"]

    def __len__(self) -> int:
        return len(self.operators)

    @property
    def labels(self) -> list[tuple[str, int, int]]:
        """(operator, weight bits, activation bits) of each choice."""
        return list(zip(self.operators, map(int, self.weight_bits), map(int, self.activation_bits), strict=True))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One number per block and choice.

    Attributes:
        name: column name, `score`, `size_bytes`, ...
        values: per block (choices,) float64.
        stderr: per block (choices,) float64 standard errors of `values`, or None where unknown.
        unit: unit of the values, `"1"` for a plain number.
        direction: whether less or more is better.
        source: where the numbers come from, in words.
        fixed: what the fixed part of the network adds to the sum, in the same unit.
    """

    name: str
    values: tuple[Float[np.ndarray, " choices"], ...]
    stderr: tuple[Float[np.ndarray, " choices"], ...] | None = None
    unit: str = "1"
    direction: Direction = "minimize"
    source: str = ""
    fixed: float = 0.0


@final
@dataclass(frozen=True, kw_only=True)
class Tables:
    """Scores and costs of every choice of every block, with named baselines and tied blocks.

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
        """Refuses tables whose parts do not fit each other; what is merely odd is left to `check`."""
        _check_blocks(self.blocks)
        for column in self.columns.values():
            for part in (column.values, column.stderr):
                if part is not None and [len(p) for p in part] != [len(block) for block in self.blocks]:
                    raise TableError(f"column {column.name!r} does not have one value per choice of every block")
        for name, genome in self.baselines.items():
            if len(genome) != len(self.blocks) or any(
                not 0 <= value < len(block) for value, block in zip(genome, self.blocks, strict=True)
            ):
                raise TableError(f"baseline {name!r} is no genome of these tables: {list(genome)}")
        for tie in self.ties:
            for name in tie:
                if name not in self.names:
                    raise TableError(f"the tie {list(tie)} names the block {name!r}, which the tables do not have")

    def __reduce__(self) -> tuple[Any, ...]:
        """For worker processes: read-only mappings cannot be pickled."""
        return _rebuild, (self.blocks, dict(self.columns), dict(self.baselines), self.ties)

    @property
    def names(self) -> tuple[str, ...]:
        """Block names in network order."""
        return tuple(block.name for block in self.blocks)

    @cached_property
    def choices(self) -> Int[np.ndarray, " blocks"]:
        """(blocks,) int64: the number of choices of each block."""
        return np.array([len(block) for block in self.blocks], dtype=np.int64)

    @cached_property
    def starts(self) -> Int[np.ndarray, " blocks"]:
        """(blocks,) int64: where each block begins in arrays that hold all choices one after another."""
        return np.concatenate([[0], np.cumsum(self.choices)[:-1]]).astype(np.int64)

    def column(self, name: str) -> Column:
        """The column called `name`.

        Raises:
            TableError: there is none; the text lists those that there are.
        """
        if name not in self.columns:
            raise TableError(f"the tables have no column {name!r}; there are: {', '.join(self.columns)}")
        return self.columns[name]

    def total(self, name: str, genomes: Int[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
        """(n,) float64: the column summed over each network's blocks, fixed part included, in the column's unit."""
        column = self.column(name)
        flat = np.concatenate(column.values)
        totals: np.ndarray = flat[self.starts + genomes].sum(axis=1) + column.fixed
        return totals

    def save(self, path: str | Path) -> None:
        """Writes the tables to one HDF5 file, in one step (layout: `results/README.md`)."""
        from evo_qnas.tables.hdf5 import save_tables

        save_tables(self, path)

    @classmethod
    def load(cls, path: str | Path) -> "Tables":
        """Tables from an HDF5 file.

        Raises:
            TableError: the file is missing, is no tables file, or breaks a rule of the format.
        """
        from evo_qnas.tables.hdf5 import load_tables

        return load_tables(path)

    @classmethod
    def from_arrays(
        cls,
        columns: Mapping[str, Sequence[Float[np.ndarray, " choices"]]],
        *,
        blocks: Sequence[Block] | None = None,
        units: Mapping[str, str] | None = None,
        directions: Mapping[str, Direction] | None = None,
        fixed: Mapping[str, float] | None = None,
        stderr: Mapping[str, Sequence[Float[np.ndarray, " choices"]]] | None = None,
        sources: Mapping[str, str] | None = None,
        baselines: Mapping[str, Sequence[int]] | None = None,
        ties: Sequence[Sequence[str]] = (),
    ) -> "Tables":
        """Tables of plain arrays: per column a sequence with one `(choices,)` array per block.

        Without `blocks` the blocks are called `block0`, `block1`, ... and their operators `choice0`, `choice1`, ...
        (bits 0: unknown). Arrays are copied.

        Example:
            >>> tables = Tables.from_arrays({"score": [np.array([1.0, 0.5])], "size_bytes": [np.array([4.0, 8.0])]})
            >>> tables.total("score", np.array([[0], [1]])).tolist()
            [1.0, 0.5]
        """
        made: dict[str, Column] = {}
        for name, values in columns.items():
            errors = (stderr or {}).get(name)
            made[name] = Column(
                name=name,
                values=tuple(np.array(v, dtype=np.float64) for v in values),
                stderr=None if errors is None else tuple(np.array(v, dtype=np.float64) for v in errors),
                unit=(units or {}).get(name, "1"),
                direction=(directions or {}).get(name, "minimize"),
                source=(sources or {}).get(name, ""),
                fixed=float((fixed or {}).get(name, 0.0)),
            )
        if blocks is None:
            if not made:
                raise TableError("tables need at least one column or the blocks")
            lengths = [len(values) for values in next(iter(made.values())).values]
            blocks = [
                Block(
                    name=f"block{index}",
                    operators=tuple(f"choice{c}" for c in range(length)),
                    weight_bits=np.zeros(length, dtype=np.int64),
                    activation_bits=np.zeros(length, dtype=np.int64),
                )
                for index, length in enumerate(lengths)
            ]
        return cls(
            blocks=tuple(blocks),
            columns=MappingProxyType(made),
            baselines=MappingProxyType({n: tuple(int(v) for v in g) for n, g in (baselines or {}).items()}),
            ties=tuple(tuple(tie) for tie in ties),
        )


def _rebuild(
    blocks: tuple[Block, ...],
    columns: dict[str, Column],
    baselines: dict[str, tuple[int, ...]],
    ties: tuple[tuple[str, ...], ...],
) -> Tables:
    """Tables of their parts."""
    return Tables(blocks=blocks, columns=MappingProxyType(columns), baselines=MappingProxyType(baselines), ties=ties)


def _check_blocks(blocks: tuple[Block, ...]) -> None:
    """Refuses blocks without choices, with one name twice, or with lengths that differ."""
    names = [block.name for block in blocks]
    if not names:
        raise TableError("tables need at least one block")
    for block in blocks:
        if names.count(block.name) > 1:
            raise TableError(f"block names must differ: {block.name!r} is there {names.count(block.name)} times")
        if not len(block):
            raise TableError(f"block {block.name!r} has no choice: at least one is needed")
        if not len(block) == len(block.weight_bits) == len(block.activation_bits):
            raise TableError(f"block {block.name!r} has operators and bits of different lengths")
