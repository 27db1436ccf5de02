"""The front of an archive: the feasible evaluations that no other one beats."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.decoding import frame_of, words_of
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.header import Header
from evo_qnas.files import write_text
from evo_qnas.frames import DataFrame
from evo_qnas.pareto.fronts import front_mask
from evo_qnas.pareto.order import lexical_order
from evo_qnas.spreadsheets import frame_csv
from evo_qnas.tables import Tables


@final
@dataclass(frozen=True, kw_only=True)
class Front:
    """Networks of an archive, usually its non-dominated ones; objectives in the user's own direction.

    Attributes:
        rows: (n,) int64, their positions among the archive's evaluations.
        genomes: (n, blocks) int64.
        objectives: (n, m) float64; a maximised objective is positive where more is better, as the user wrote it.
        constraints: (n, k) float64 excesses, met where <= 0.
        header: of the archive they come from.
        load_tables: the archive's tables, read when they are needed.
    """

    rows: Int[np.ndarray, " n"]
    genomes: Int[np.ndarray, "n blocks"]
    objectives: Float[np.ndarray, "n m"]
    constraints: Float[np.ndarray, "n k"]
    header: Header = field(repr=False)
    load_tables: Callable[[], Tables | None] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def to_dataframe(self) -> DataFrame:
        """One row per network: objectives, excess over each limit, and the choice of each block in words."""
        tables = self.load_tables()
        return frame_of(self.header, tables, self.genomes, self.objectives, self.constraints, evaluation=self.rows)

    def to_csv(self, path: str | Path | None = None, *, formulas: bool = False) -> str:
        """The data frame as CSV text, also written to `path` where one is given.

        Args:
            path: the file.
            formulas: leave texts that a spreadsheet would run as they are, instead of marking them with an apostrophe.
        """
        text = frame_csv(self.to_dataframe(), formulas=formulas)
        if path is not None:
            write_text(path, text)
        return text

    def to_json(self, path: str | Path | None = None) -> str:
        """A JSON list with one object per network, also written to `path` where one is given.

        Keys: `evaluation`, `genome`, `objectives` and `constraints` by name, `blocks` by name (choices in words).
        """
        words = [column.tolist() for column in words_of(self.header, self.load_tables(), self.genomes)]
        networks = []
        numbers = zip(self.objectives.tolist(), self.constraints.tolist(), strict=True)
        for at, (values, excess) in enumerate(numbers):
            networks.append(
                {
                    "evaluation": int(self.rows[at]),
                    "genome": self.genomes[at].tolist(),
                    "objectives": {i.name: v for i, v in zip(self.header.objectives, values, strict=True)},
                    "constraints": {i.name: _finite(v) for i, v in zip(self.header.constraints, excess, strict=True)},
                    "blocks": {name: word[at] for name, word in zip(self.header.blocks, words, strict=True)},
                }
            )
        text = json.dumps(networks, indent=1, allow_nan=False) + "\n"
        if path is not None:
            write_text(path, text)
        return text


def _finite(value: float) -> float | None:
    """JSON knows no infinity."""
    return value if np.isfinite(value) else None


def front_rows(evaluations: Evaluations) -> Int[np.ndarray, " n"]:
    """(n,) int64: the rows of the front, sorted by the objectives; of networks with equal objectives the first stays.

    Objectives that differ by rounding alone are equal, see `front_mask`.

    Example:
        >>> values = np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 2.0]])
        >>> front_rows(Evaluations.ok(np.array([[0], [1], [2]]), values, np.zeros((3, 0))))
        array([1, 0])
    """
    return front_among(evaluations.objectives, np.flatnonzero(evaluations.feasible))


def front_among(objectives: Float[np.ndarray, "n m"], rows: Int[np.ndarray, " _"]) -> Int[np.ndarray, " _"]:
    """The front of some rows, all finite and feasible; sorted by the objectives, the first of equal ones."""
    if not len(rows):
        return rows
    best = rows[front_mask(objectives[rows])]
    chosen: np.ndarray = best[lexical_order(objectives[best])]
    return chosen


def signs(maximize: Sequence[bool]) -> Float[np.ndarray, " m"]:
    """(m,) float64: -1 where an objective is maximised, else 1; inside and outside differ by this factor."""
    return np.where(np.array(maximize, dtype=bool), -1.0, 1.0)
