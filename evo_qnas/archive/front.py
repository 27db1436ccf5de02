"""The front of an archive: the feasible evaluations that no other one beats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import moocore
import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.evaluations import Evaluations


@final
@dataclass(frozen=True, kw_only=True)
class Front:
    """Networks of an archive, usually its non-dominated ones; objectives in the user's own direction.

    Attributes:
        rows: (n,) int64, their positions among the archive's evaluations.
        genomes: (n, blocks) int64.
        objectives: (n, m) float64; a maximised objective is positive where more is better, as the user wrote it.
        constraints: (n, k) float64 excesses, met where <= 0.
    """

    rows: Int[np.ndarray, " n"]
    genomes: Int[np.ndarray, "n blocks"]
    objectives: Float[np.ndarray, "n m"]
    constraints: Float[np.ndarray, "n k"]

    def __len__(self) -> int:
        return len(self.rows)


def front_rows(evaluations: Evaluations) -> Int[np.ndarray, " n"]:
    """(n,) int64: the rows of the front, sorted by the objectives; of networks with equal objectives the first stays.

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
    best = rows[moocore.is_nondominated(objectives[rows], keep_weakly=True)]
    best = best[np.lexsort(objectives[best].T[::-1])]
    values = objectives[best]
    chosen: np.ndarray = best[np.concatenate([[True], (values[1:] != values[:-1]).any(axis=1)])]
    return chosen


def signs(maximize: Sequence[bool]) -> Float[np.ndarray, " m"]:
    """(m,) float64: -1 where an objective is maximised, else 1; inside and outside differ by this factor."""
    return np.where(np.array(maximize, dtype=bool), -1.0, 1.0)
