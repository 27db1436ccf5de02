"""The values of all networks that a search has evaluated, as optimizers take them."""

from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive import Evaluations


@final
class Values:
    """Objectives, violation and excesses of every visited row, as `Optimizer.tell_with_limits` takes them."""

    def __init__(self, m: int, k: int) -> None:
        self._objectives = np.empty((1024, m))
        self._excess = np.empty((1024, k))
        self._violation = np.empty(1024)
        self._count = 0
        self._scale: np.ndarray | None = None

    def add(self, rows: Evaluations) -> None:
        """Takes the values of the next rows; the first call fixes how limits are weighed against each other."""
        if self._scale is None:
            self._scale = limit_scale(rows.constraints)
        fine = rows.state == 0
        end = self._count + len(rows)
        while end > len(self._violation):
            self._objectives = np.concatenate([self._objectives, np.empty_like(self._objectives)])
            self._excess = np.concatenate([self._excess, np.empty_like(self._excess)])
            self._violation = np.concatenate([self._violation, np.empty_like(self._violation)])
        self._objectives[self._count : end] = np.where(fine[:, None], rows.objectives, np.inf)
        self._excess[self._count : end] = np.where(fine[:, None], rows.constraints, np.inf)
        self._violation[self._count : end] = np.where(fine, violation_of(rows.constraints, self._scale), np.inf)
        self._count = end

    @property
    def least_violating(self) -> int:
        """The row with the least violation, -1 where none was evaluated."""
        violation = self._violation[: self._count]
        return int(violation.argmin()) if np.isfinite(violation).any() else -1

    def of(
        self, rows: Int[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, " n"], Float[np.ndarray, "n k"]]:
        """Objectives, violation and excesses of rows."""
        return self._objectives[rows], self._violation[rows], self._excess[rows]


def limit_scale(excess: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    """(k,) the unit of each limit: its mean excess where it is not met, 1 where it always is."""
    above = np.where(excess > 0, excess, np.nan)
    counted = np.isfinite(above).sum(axis=0)
    mean = np.nansum(above, axis=0) / np.maximum(counted, 1)
    scale: np.ndarray = np.where(mean > 0, mean, 1.0)
    return scale


def violation_of(excess: Float[np.ndarray, "n k"], scale: Float[np.ndarray, " k"]) -> Float[np.ndarray, " n"]:
    """(n,) the sum of the excesses, each in its unit; 0 where every limit is met."""
    total: np.ndarray = (np.maximum(excess, 0.0) / scale).sum(axis=1)
    return total
