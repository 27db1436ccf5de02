"""Tables: per block and choice the scores and costs that a search adds up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.errors import TableError
from evo_qnas.frames import html_table
from evo_qnas.tables.check import check_content
from evo_qnas.tables.content import Content
from evo_qnas.tables.csv_reading import read_csv
from evo_qnas.tables.csv_writing import write_csv
from evo_qnas.tables.findings import Finding
from evo_qnas.tables.hdf5 import load_content, save_content
from evo_qnas.tables.parts import Block, Column, Combine, Direction
from evo_qnas.tables.units import unit_of


@final
@dataclass(frozen=True, repr=False)
class Tables:
    """Scores and costs of every choice of every block, with named baselines and tied blocks.

    Attributes:
        content: the parts, which fit each other.
    """

    content: Content

    def __repr__(self) -> str:
        """One line."""
        columns = ", ".join(self.columns)
        return f"Tables({len(self.blocks)} blocks, {int(self.choices.sum())} choices; columns {columns})"

    def _repr_html_(self) -> str:
        rows = []
        for name, column in self.columns.items():
            values = np.concatenate(column.values) if column.values else np.zeros(0)
            spread = (f"{np.nanmin(values):.4g}", f"{np.nanmax(values):.4g}") if np.isfinite(values).any() else ("", "")
            rows.append([name, column.unit, column.direction, *spread, f"{column.fixed:.4g}"])
        return html_table(["column", "unit", "direction", "smallest", "largest", "fixed"], rows, repr(self))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks in network order."""
        return self.content.blocks

    @property
    def columns(self) -> Mapping[str, Column]:
        """The columns by name."""
        return self.content.columns

    @property
    def baselines(self) -> Mapping[str, tuple[int, ...]]:
        """Named genomes, for example `teacher_int8`."""
        return self.content.baselines

    @property
    def ties(self) -> tuple[tuple[str, ...], ...]:
        """Groups of block names that share one choice."""
        return self.content.ties

    @property
    def names(self) -> tuple[str, ...]:
        """Block names in network order."""
        return self.content.names

    @cached_property
    def choices(self) -> Int[np.ndarray, " blocks"]:
        """(blocks,) int64: the number of choices of each block."""
        return self.content.choices

    @cached_property
    def starts(self) -> Int[np.ndarray, " blocks"]:
        """(blocks,) int64: where each block begins in arrays that hold all choices one after another."""
        return np.concatenate([[0], np.cumsum(self.choices)[:-1]]).astype(np.int64)

    def column(self, name: str) -> Column:
        """The column called `name`.

        Raises:
            TableError: there is none; the text lists those that there are.
        """
        return self.content.column(name)

    def total(self, name: str, genomes: Int[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
        """(n,) float64: the column of each network, summed over its blocks (or the largest, as the column says).

        The fixed part is included; in the column's unit.
        """
        column = self.column(name)
        return column.total(np.concatenate(column.values)[self.starts + genomes])

    def save(self, path: str | Path) -> None:
        """Writes the tables to one HDF5 file, in one step (layout: `results/README.md`)."""
        save_content(self.content, path)

    @classmethod
    def load(cls, path: str | Path) -> "Tables":
        """Tables from an HDF5 file.

        Raises:
            TableError: the file is missing, is no tables file, or breaks a rule of the format.
        """
        return cls(load_content(path))

    def to_csv(self, path: str | Path, *, formulas: bool = False) -> None:
        """Writes the tables as long CSV, in one step; `from_csv` reads them back bit for bit.

        Args:
            path: the file.
            formulas: leave names that a spreadsheet would run as they are, instead of marking them with an apostrophe,
                which `from_csv` takes away.
        """
        write_csv(self.content, path, formulas=formulas)

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        units: Mapping[str, str] | None = None,
        directions: Mapping[str, Direction] | None = None,
    ) -> "Tables":
        """Tables of a long CSV file `block,operator,weight_bits,activation_bits,<columns>`, one row per choice.

        Columns `<name>_stderr` are standard errors; comments may carry units, directions, fixed parts, baselines and
        ties (see `evo_qnas.tables.csv_reading`); `units` and `directions` win over them.

        Raises:
            TableError: the file breaks a rule; the text names file and line.
        """
        return cls(read_csv(path, units=units, directions=directions))

    def check(self) -> list[Finding]:
        """Findings about what is odd, errors first: NaN, duplicates, negative costs, dominated choices, ..."""
        return check_content(self.content)

    def drop_nan(self, columns: Sequence[str] | None = None) -> "Tables":
        """Tables without the choices that have a NaN in one of `columns` (in any column where None)."""
        return Tables(self.content.without_nan(columns))

    def restrict(self, allowed: Mapping[str, Sequence[int]]) -> "Tables":
        """Tables in which the named blocks keep only the choices with the given indices.

        Raises:
            TableError: there is no such block or choice, or a block would have none left.
        """
        return Tables(self.content.restricted(allowed))

    def keep_choices(self, kept: Sequence[Bool[np.ndarray, " _"]]) -> "Tables":
        """Tables with only the choices that are marked, in the old order; baselines that lose a choice go.

        Args:
            kept: per block a mark for each choice.

        Raises:
            TableError: a block would have no choice left.
        """
        return Tables(self.content.keep(kept))

    def with_column(
        self,
        name: str,
        values: Sequence[Float[np.ndarray, " _"]],
        *,
        unit: str | None = None,
        direction: Direction = "minimize",
        source: str = "",
        fixed: float = 0.0,
        stderr: Sequence[Float[np.ndarray, " _"]] | None = None,
        combine: Combine = "sum",
        details: Mapping[str, Any] | None = None,
    ) -> "Tables":
        """Tables with one more column; an old one of that name is replaced; without `unit` the name says it."""
        column = Column(
            name=name,
            values=_float_arrays(name, values),
            stderr=None if stderr is None else _float_arrays(f"{name}_stderr", stderr),
            combine=combine,
            details=MappingProxyType(dict(details or {})),
            unit=unit_of(name) if unit is None else unit,
            direction=direction,
            source=source,
            fixed=fixed,
        )
        return Tables(replace(self.content, columns=MappingProxyType({**self.columns, name: column})))

    def with_baselines(self, baselines: Mapping[str, Sequence[int]]) -> "Tables":
        """Tables with more named genomes."""
        made = {name: tuple(int(value) for value in genome) for name, genome in baselines.items()}
        return Tables(replace(self.content, baselines=MappingProxyType({**self.baselines, **made})))

    @classmethod
    def from_arrays(
        cls,
        columns: Mapping[str, Sequence[Float[np.ndarray, " _"]]],
        *,
        blocks: Sequence[Block] | None = None,
        units: Mapping[str, str] | None = None,
        directions: Mapping[str, Direction] | None = None,
        fixed: Mapping[str, float] | None = None,
        stderr: Mapping[str, Sequence[Float[np.ndarray, " _"]]] | None = None,
        sources: Mapping[str, str] | None = None,
        baselines: Mapping[str, Sequence[int]] | None = None,
        ties: Sequence[Sequence[str]] = (),
    ) -> "Tables":
        """Tables of plain arrays: per column a sequence with one `(choices,)` array per block.

        Without `blocks` the blocks are called `block0`, `block1`, ... and their operators `choice0`, `choice1`, ...
        (bits 0: unknown). Arrays are copied. Where `units` knows none, the column's name says it (`latency_ms`: ms).

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
                values=_float_arrays(name, values),
                stderr=None if errors is None else _float_arrays(f"{name}_stderr", errors),
                unit=(units or {}).get(name, unit_of(name)),
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
        content = Content(
            blocks=tuple(blocks),
            columns=MappingProxyType(made),
            baselines=MappingProxyType({n: tuple(int(v) for v in g) for n, g in (baselines or {}).items()}),
            ties=tuple(tuple(tie) for tie in ties),
        )
        return cls(content)


def _float_arrays(name: str, values: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """Copies as float64, one `(choices,)` array per block; NaN where a mask hides a number."""
    try:
        return tuple(np.array(np.ma.filled(np.ma.asarray(value, dtype=np.float64), np.nan)) for value in values)
    except (TypeError, ValueError) as error:
        raise TableError(f"column {name!r} must hold one array of numbers per block: {error}") from error
