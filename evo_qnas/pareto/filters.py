"""Minima of many points at once, and a screen that throws most of the others out before any sorting.

Points are columns here, `(d, n)`: every step works on whole coordinates.
"""

from typing import final

import moocore
import numpy as np
from jaxtyping import Bool, Float, Int

# Most cells of a screen: 32 MB. Chosen, not measured.
_CELLS = 1 << 22


def minima(points: Float[np.ndarray, "d n"]) -> Int[np.ndarray, " k"]:
    """Positions of the points that no other is below or equal to in all coordinates; of equal ones the first.

    Source: Kung, Luccio and Preparata 1975; one sort and a running minimum for two coordinates, moocore for more.

    Example:
        >>> minima(np.array([[3.0, 1.0, 1.0, 2.0], [1.0, 2.0, 2.0, 2.0]])).tolist()
        [1, 0]
    """
    n = points.shape[1]
    points = points[[index for index, row in enumerate(points) if n and row.min() < row.max()]]
    if n == 0 or len(points) == 0:
        return np.arange(min(n, 1))
    if len(points) == 1:
        return np.array([points[0].argmin()])
    if len(points) == 2:
        return _staircase(points[0], points[1])
    keep: np.ndarray = moocore.is_nondominated(np.ascontiguousarray(points.T), keep_weakly=False)
    return np.flatnonzero(keep)


def _staircase(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """`minima` of two coordinates, in the order of the first one."""
    order = np.argsort(first, kind="stable")
    values = second[order]
    better = np.ones(len(order), dtype=bool)
    better[1:] = values[1:] < np.minimum.accumulate(values)[:-1]
    order = order[better]
    values = first[order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = values[1:] > values[:-1]
    return order[last]


@final
class Screen:
    """Finds out quickly that a point is dominated, never wrongly.

    A grid over all coordinates but the last holds the smallest last coordinate of each cell, then of all cells that are
    lower in every direction: who is not below that is dominated by a point of one of those cells.
    """

    def __init__(self, low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"], points: int) -> None:
        """An empty grid over `low .. high`, with about a cell per four of `points` points."""
        axes = len(low) - 1
        cells = min(max(points // 4, 256), _CELLS)
        self.side = max(int(cells ** (1.0 / axes)), 2)
        span = np.where(high > low, high - low, 1.0)[:-1]
        self._low, self._scale = low[:-1], (self.side - 1) / span
        self._strides = [(self.side + 1) ** power for power in range(axes - 1, -1, -1)]
        self._smallest = np.full((self.side + 1) ** axes, np.inf)

    @property
    def grid(self) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " a"], Int[np.ndarray, " a"], np.ndarray]:
        """Per axis its beginning, scale and step to the next cell; and the smallest of each cell, in place."""
        return self._low, self._scale, np.array(self._strides, dtype=np.int64), self._smallest

    def _cells(self, points: Float[np.ndarray, "d n"]) -> Int[np.ndarray, " n"]:
        """Flat cell of each point; the neighbour one step up in every direction is `sum(strides)` further on."""
        cells = np.zeros(points.shape[1], dtype=np.int32)
        for row, low, scale, stride in zip(points, self._low, self._scale, self._strides, strict=False):
            part = row - low
            part *= scale
            index = part.astype(np.int32)
            index *= stride
            cells += index
        return cells

    def add(self, points: Float[np.ndarray, "d n"]) -> None:
        """Enters points; `close` follows the last of them."""
        np.minimum.at(self._smallest, self._cells(points) + sum(self._strides), points[-1])

    def close(self) -> None:
        """Spreads each cell's minimum to all cells above it."""
        grid = self._smallest.reshape((self.side + 1,) * len(self._strides))
        for axis in range(grid.ndim):
            np.minimum.accumulate(grid, axis=axis, out=grid)

    def passes(self, points: Float[np.ndarray, "d n"]) -> Bool[np.ndarray, " n"]:
        """False only for points that an entered one dominates."""
        passed: np.ndarray = points[-1] < self._smallest[self._cells(points)]
        return passed
