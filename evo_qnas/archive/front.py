"""The front of an archive: the feasible evaluations that no other one beats."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.decoding import frame_of, words_of
from evo_qnas.archive.display import front_html
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.header import Header
from evo_qnas.archive.preferring import bounded, chosen_at
from evo_qnas.files import write_text
from evo_qnas.frames import DataFrame
from evo_qnas.pareto.fronts import front_mask
from evo_qnas.pareto.order import lexical_order
from evo_qnas.spaces import network_id
from evo_qnas.spreadsheets import frame_csv
from evo_qnas.tables import Tables


@final
@dataclass(frozen=True, kw_only=True, repr=False)
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
    header: Header
    load_tables: Callable[[], Tables | None]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> "Front":
        """One network, or those of a slice, of positions or of a mask, as a front of that many.

        Raises:
            IndexError: there is no such network.
        """
        return self.chosen(np.atleast_1d(np.arange(len(self))[at]))

    def __iter__(self) -> Iterator["Front"]:
        """The networks, each a front of one."""
        return (self[at] for at in range(len(self)))

    def __repr__(self) -> str:
        """One line."""
        if len(self) == 1:
            values = zip(self.header.objectives, self.objectives[0].tolist(), strict=True)
            words = ", ".join(f"{info.name} = {value:.6g}" for info, value in values)
            return f"Front(evaluation {int(self.rows[0])}: {words})"
        spans = zip(self.header.objectives, self.objectives.T, strict=True)
        words = ", ".join(f"{i.name} {v.min():.6g} .. {v.max():.6g}" for i, v in spans if len(v))
        return f"Front({len(self)} networks{': ' if words else ''}{words})"

    def _repr_html_(self) -> str:
        return front_html(self.header, self.rows, (self.objectives, self.constraints), f"{len(self)} networks")

    @property
    def ids(self) -> list[str]:
        """Names of the networks, made of their genomes: those of `summary.json` and of folders of networks."""
        return [network_id(genome) for genome in self.genomes.tolist()]

    def chosen(self, at: Int[np.ndarray, " k"]) -> "Front":
        """The networks at these positions of the front."""
        parts = {name: getattr(self, name)[at] for name in ("rows", "genomes", "objectives", "constraints")}
        return replace(self, **parts)

    def where(self, *limits: str) -> "Front":
        """The networks that meet limits, such as `size_bytes <= 30000`, of objectives or any column of the tables.

        Called again on its result with other bounds, a front is narrowed step by step.

        Raises:
            ArchiveError: a limit cannot be read, a name is unknown, or no network is left; the text says what can be
                reached.
        """
        return self.chosen(bounded(self.header, self.load_tables(), limits, self.genomes, self.objectives))

    def choose(
        self, reference_point: Mapping[str, float] | None = None, *, trade_offs: str | Sequence[str] = ()
    ) -> "Front":
        """The one network that a person prefers; without a preference the knee.

        Args:
            reference_point: wished-for values by objective, each in its own direction: the network that reaches all of
                them best, or goes beyond them the furthest, each objective in the front's range.
            trade_offs: prices, such as `size_bytes per score <= 2000`: no network is chosen whose last unit of score
                costs more bytes than that, compared with another network of the front.

        Raises:
            ArchiveError: there is no network, or a preference cannot be read.

        Source: Wierzbicki 1980 (reference points).
        """
        sign = signs([info.maximize for info in self.header.objectives])
        prices = [trade_offs] if isinstance(trade_offs, str) else trade_offs
        return self[chosen_at(self.objectives * sign, self.header, reference_point, prices)]

    def knee(self) -> "Front":
        """The one network where giving up one objective starts to buy little of the others.

        Raises:
            ArchiveError: there is no network.
        """
        return self.choose()

    def to_dataframe(self) -> DataFrame:
        """One row per network: id, evaluation, objectives, excess over each limit, choice of each block in words."""
        tables = self.load_tables()
        first = {"id": np.array(self.ids, dtype=object), "evaluation": self.rows}
        return frame_of(self.header, tables, self.genomes, self.objectives, self.constraints, **first)

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

        Keys: `id`, `evaluation`, `genome`, `objectives` and `constraints` by name, `blocks` by name (choices in words).
        """
        words = [column.tolist() for column in words_of(self.header, self.load_tables(), self.genomes)]
        networks, ids = [], self.ids
        numbers = zip(self.objectives.tolist(), self.constraints.tolist(), strict=True)
        for at, (values, excess) in enumerate(numbers):
            networks.append(
                {
                    "id": ids[at],
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
