"""Merging in machine code, where numba is installed (extra `fast`); the fronts are those of numpy point for point.

Sums are made, held against limits and looked up in the screen one after another, without arrays in between.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from inspect import unwrap
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto.filters import Screen
from evo_qnas.pareto.order import lexical_order

# Sums gone through at once: what passes takes 8 MB in three dimensions.
_CHUNK = 1 << 18
# Three objectives, or two and a limit on a third column: what takes long.
_DIMENSIONS = 3
# Fewer sums take less time than compiling.
_FEW_SUMS = 1 << 21


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """All sums of one column of `left` and one of `right`.

    Attributes:
        left: (d, n) float64.
        right: (d, k) float64.
        floor: (d,) up to here a limit is met whatever comes.
        ceiling: (d,) above it cannot be met any more.
        m: the number of objectives; of the dimensions beyond, all below `floor` count the same.
    """

    left: Float[np.ndarray, "d n"]
    right: Float[np.ndarray, "d k"]
    floor: Float[np.ndarray, " d"]
    ceiling: Float[np.ndarray, " d"]
    m: int

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The parts, as the compiled functions take them."""
        floor = self.floor.copy()
        floor[: self.m] = -np.inf
        return np.ascontiguousarray(self.left), np.ascontiguousarray(self.right), floor, self.ceiling


@cache
def installed() -> bool:
    """True where numba is installed."""
    return find_spec("numba") is not None


def pays(dimensions: int, m: int, sums: int) -> bool:
    """True where so many sums, of so many dimensions, `m` of them objectives, are merged in machine code."""
    return dimensions == _DIMENSIONS and m >= _DIMENSIONS - 1 and sums >= _FEW_SUMS and installed()


def enter(sums: Sums, screen: Screen) -> None:
    """Enters all sums that the limits allow in a screen."""
    _kernels()[0](sums.arguments, screen.grid)


def passing(sums: Sums, screen: Screen) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The sums that limits and screen let through, (d, k), with their positions, right by right, in chunks."""
    left, right, floor, ceiling = sums.arguments
    n = left.shape[1]
    step = max(_CHUNK // max(n, 1), 1)
    values, rows = np.empty((len(left), step * n)), np.empty(step * n, dtype=np.int64)
    for start in range(0, right.shape[1], step):
        part = np.ascontiguousarray(right[:, start : start + step])
        found = _kernels()[1]((left, part, floor, ceiling), screen.grid, (values, rows))
        yield values[:, :found].copy(), rows[:found] + start * n


def minima(points: Float[np.ndarray, "3 n"]) -> Int[np.ndarray, " k"]:
    """Positions of the points that no other is below or equal to in all three coordinates; of equal ones the first.

    Source: Kung, Luccio and Preparata 1975: by the first coordinate, with the smallest third of all lower second ones
    in a tree of prefixes (Fenwick 1994).
    """
    order = np.argsort(points[1])
    risen = np.diff(points[1, order], prepend=points[1, order[:1]]) > 0
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.cumsum(risen) + 1
    keep = np.zeros(len(order), dtype=np.bool_)
    tree = np.full(int(rank.max(initial=0)) + 1, np.inf)
    _kernels()[2](lexical_order(points.T), rank, np.ascontiguousarray(points[2]), tree, keep)
    return np.flatnonzero(keep)


@cache
def _kernels() -> tuple[Callable[..., Any], ...]:
    """The compiled functions, as they were written: a checker of arguments around them cannot be compiled."""
    numba = import_module("numba")
    return tuple(numba.njit(unwrap(function)) for function in (_enter, _passing, _sweep))


def _enter(parts: Any, grid: Any) -> None:
    """`enter` of three dimensions, in what numba compiles."""
    left, right, floor, ceiling = parts
    low, scale, strides, smallest = grid
    l0, l1, l2 = left[0], left[1], left[2]
    c0, c1, c2, f2 = ceiling[0], ceiling[1], ceiling[2], floor[2]
    low0, low1, scale0, scale1, stride0, up = low[0], low[1], scale[0], scale[1], strides[0], strides[0] + strides[1]
    for r in range(right.shape[1]):
        r0, r1, r2 = right[0, r], right[1, r], right[2, r]
        for n in range(len(l0)):
            a, b, c = r0 + l0[n], r1 + l1[n], r2 + l2[n]
            if a <= c0 and b <= c1 and c <= c2:
                at = int((a - low0) * scale0) * stride0 + int((b - low1) * scale1) + up
                smallest[at] = min(smallest[at], max(c, f2))


def _passing(parts: Any, grid: Any, found: Any) -> int:
    """`passing` of three dimensions, in what numba compiles; writes to `found`, and returns how many pass."""
    left, right, floor, ceiling = parts
    low, scale, strides, smallest = grid
    values, rows = found
    l0, l1, l2 = left[0], left[1], left[2]
    c0, c1, c2, f2 = ceiling[0], ceiling[1], ceiling[2], floor[2]
    low0, low1, scale0, scale1, stride0 = low[0], low[1], scale[0], scale[1], strides[0]
    count = 0
    for r in range(right.shape[1]):
        r0, r1, r2 = right[0, r], right[1, r], right[2, r]
        for n in range(len(l0)):
            a, b, c = r0 + l0[n], r1 + l1[n], r2 + l2[n]
            if a <= c0 and b <= c1 and c <= c2:
                c = max(c, f2)
                at = int((a - low0) * scale0) * stride0 + int((b - low1) * scale1)
                if c < smallest[at]:
                    values[0, count], values[1, count], values[2, count] = a, b, c
                    rows[count] = r * len(l0) + n
                    count += 1
    return count


def _sweep(order: Any, rank: Any, third: Any, tree: Any, keep: Any) -> None:
    """`minima`, in what numba compiles; writes to `keep`."""
    for at in order:
        least, place = np.inf, rank[at]
        while place > 0 and least > third[at]:
            least = min(least, tree[place])
            place -= place & -place
        if least > third[at]:
            keep[at] = True
            place = rank[at]
            while place < len(tree):
                tree[place] = min(tree[place], third[at])
                place += place & -place
