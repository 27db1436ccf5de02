"""Fronts of sums: merge two groups of genes, prune by limits, thin out within a known error, trace networks back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import compiled
from evo_qnas.pareto.filters import Screen, minima
from evo_qnas.pareto.lattice import Lattice

# Sums made at once: a few arrays of 256 KB stay in the processor's cache.
_CHUNK = 1 << 15
# Fewer sums than this are compared directly, without a screen. Chosen, not measured.
_FEW_SUMS = 4096
# A point to be filtered takes as long as so many sums: from 40,000 points on machine code pays.
_POINTS_AS_SUMS = 50


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The origin of each point of a node.

    Attributes:
        gene: position of the gene, of a single gene's node; else -1.
        picks: (n,) int32, option of the single gene; else position in the left part.
        right_picks: (n,) int32, position in the right part; zeros for a single gene.
        parts: left and right part; empty for a single gene.
    """

    gene: int
    picks: Int[np.ndarray, " n"]
    right_picks: Int[np.ndarray, " n"]
    parts: "tuple[Trace, ...]"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Sums of a group of genes that no other sums of the group beat.

    Attributes:
        values: (d, n) float64, whole numbers.
        genes: positions of the group's genes.
        trace: the origin of each point.
        error: (d,) float64: each sum of the group has one here that is at most this much larger.
    """

    values: Float[np.ndarray, "d n"]
    genes: tuple[int, ...]
    trace: Trace
    error: Float[np.ndarray, " d"]

    def __len__(self) -> int:
        return len(self.trace.picks)


@final
class CapacityExceeded(Exception):  # noqa: N818 - a signal between planner and merger, no user error
    """A front has more points than allowed."""


class NoFeasible(Exception):  # noqa: N818 - a signal, as above
    """No sum of a group of genes can meet the limits."""


@final
class Merger:
    """Merges nodes of one lattice."""

    def __init__(self, lattice: Lattice) -> None:
        """Takes the smallest and largest remainder of each group from the lattice."""
        self.lattice = lattice
        self._low = np.array([part.min(axis=1) for part in lattice.options])
        self._high = np.array([part.max(axis=1) for part in lattice.options])

    def leaf(self, gene: int) -> Node:
        """The node of a single gene: its options that can still meet the limits and that no other beats.

        Raises:
            NoFeasible: there are none.
        """
        values, rows = _pruned(self.lattice.options[gene], self._window((gene,)), self.lattice.m)
        if not len(rows):
            raise NoFeasible
        best = minima(values)
        picks = rows[best].astype(np.int32)
        trace = Trace(gene=gene, picks=picks, right_picks=np.zeros_like(picks), parts=())
        return Node(values=values[:, best], genes=(gene,), trace=trace, error=np.zeros(len(values)))

    def merge(self, left: Node, right: Node, *, most: int) -> Node:
        """The node of both groups together.

        Raises:
            CapacityExceeded: more than `most` points stay.
            NoFeasible: none stays.
        """
        if len(right) > len(left):
            left, right = right, left
        window = self._window(left.genes + right.genes)
        screen = self._screen(left, right, window)
        if screen is not None and compiled.pays(len(left.values), self.lattice.m, len(left) * len(right)):
            chunks = compiled.passing(_sums(left, right, window, self.lattice.m), screen)
        else:
            chunks = self._chunks(left, right, window, screen)
        values, rows = _collected(chunks, most)
        trace = Trace(
            gene=-1,
            picks=(rows % len(left)).astype(np.int32),
            right_picks=(rows // len(left)).astype(np.int32),
            parts=(left.trace, right.trace),
        )
        return Node(values=values, genes=left.genes + right.genes, trace=trace, error=left.error + right.error)

    def _screen(self, left: Node, right: Node, window: "_Window") -> Screen | None:
        """A screen of all sums that the limits allow, None where they are few or flat."""
        if len(left.values) < 2 or len(left) * len(right) <= _FEW_SUMS:
            return None
        sums = (f(left.values, axis=1) + f(right.values, axis=1) for f in (np.min, np.max))
        ends = [np.maximum(np.minimum(end, window.ceiling), window.floor) for end in sums]
        screen = Screen(ends[0], ends[1], len(left) * len(right))
        if compiled.pays(len(left.values), self.lattice.m, len(left) * len(right)):
            compiled.enter(_sums(left, right, window, self.lattice.m), screen)
        else:
            for values, _ in self._chunks(left, right, window, None):
                screen.add(values)
        screen.close()
        return screen

    def _chunks(
        self, left: Node, right: Node, window: "_Window", screen: Screen | None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All sums that limits and screen let through, with flat positions, some options of the right at a time."""
        step = max(_CHUNK // max(len(left), 1), 1)
        for start in range(0, len(right), step):
            sums = right.values[:, start : start + step, None] + left.values[:, None, :]
            values, rows = _pruned(sums.reshape(len(sums), -1), window, self.lattice.m)
            if screen is not None:
                passed = np.flatnonzero(screen.passes(values))
                values, rows = values[:, passed], rows[passed]
            yield values, rows + start * len(left)

    def _window(self, genes: tuple[int, ...]) -> "_Window":
        """The window of a group of genes, from the smallest and largest sums of all others."""
        outside = np.setdiff1d(np.arange(len(self._low)), genes)
        smallest, largest = self._low[outside].sum(axis=0), self._high[outside].sum(axis=0)
        floor, ceiling = np.full(len(smallest), -np.inf), np.full(len(smallest), np.inf)
        for dimension, bound in self.lattice.limits:
            ceiling[dimension] = min(ceiling[dimension], np.floor(bound) - smallest[dimension])
            if dimension >= self.lattice.m:
                floor[dimension] = np.floor(bound) - largest[dimension]
        return _Window(floor=floor, ceiling=ceiling)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Per dimension: up to `floor` a limit is met whatever comes, above `ceiling` it cannot be met any more."""

    floor: Float[np.ndarray, " d"]
    ceiling: Float[np.ndarray, " d"]


def _sums(left: Node, right: Node, window: _Window, m: int) -> compiled.Sums:
    """All sums of two nodes within a window."""
    return compiled.Sums(left=left.values, right=right.values, floor=window.floor, ceiling=window.ceiling, m=m)


def _pruned(
    values: Float[np.ndarray, "d n"], window: _Window, m: int
) -> tuple[Float[np.ndarray, "d k"], Int[np.ndarray, " k"]]:
    """Sums that can still meet the limits, with their positions; limits that are met for sure all count the same."""
    limited = np.flatnonzero(np.isfinite(window.ceiling))
    if not len(limited):
        return values, np.arange(values.shape[1])
    rows = np.flatnonzero((values[limited] <= window.ceiling[limited, None]).all(axis=0))
    values = values[:, rows]
    np.maximum(values[m:], window.floor[m:, None], out=values[m:])
    return values, rows


def _collected(
    chunks: Iterable[tuple[np.ndarray, np.ndarray]], most: int
) -> tuple[Float[np.ndarray, "d k"], Int[np.ndarray, " k"]]:
    """The minima of all chunks together, with their positions; memory stays in proportion to `most`."""
    values_found, rows_found, size = [], [], 0
    for values, rows in chunks:
        values_found.append(values)
        rows_found.append(rows)
        size += len(rows)
        if size > 4 * most + _CHUNK:
            values_found, rows_found = ([part] for part in _best(values_found, rows_found))
            size = len(rows_found[0])
            if size > 2 * most:
                raise CapacityExceeded
    if not size:
        raise NoFeasible
    values, rows = _best(values_found, rows_found)
    if len(rows) > most:
        raise CapacityExceeded
    return values, rows


def _best(values: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Minima of several chunks, with their positions."""
    together, positions = np.concatenate(values, axis=1), np.concatenate(rows)
    fast = compiled.pays(len(together), len(together), _POINTS_AS_SUMS * len(positions))
    best = compiled.minima(together) if fast else minima(together)
    return together[:, best], positions[best]


def thinned(node: Node, cells: Float[np.ndarray, " d"]) -> Node:
    """Fewer points, within an error of `cells` more.

    Each dimension with a cell above 0 is cut into cells of that width. A point goes where another one lies in no higher
    cell of any of those dimensions and is no larger in the others: that one is less than a cell larger.

    Source: Laumanns, Thiele, Deb and Zitzler 2002 (epsilon dominance), with some dimensions left exact.
    """
    cut = cells > 0.0
    boxes = node.values.copy()
    boxes[cut] = np.floor((node.values[cut] - node.values[cut].min(axis=1, keepdims=True)) / cells[cut, None])
    keep = minima(boxes)
    old = node.trace
    trace = Trace(gene=old.gene, picks=old.picks[keep], right_picks=old.right_picks[keep], parts=old.parts)
    return Node(
        values=node.values[:, keep], genes=node.genes, trace=trace, error=node.error + np.where(cut, cells, 0.0)
    )


def traced(node: Node, lattice: Lattice) -> Int[np.ndarray, "n genes"]:
    """Gene values, in the additive problem, of all points of a node that covers every gene."""
    genes = np.empty((len(node), len(lattice.options)), dtype=np.int64)
    left = [(node.trace, np.arange(len(node)))]
    while left:
        trace, rows = left.pop()
        if trace.parts:
            left += [(trace.parts[0], trace.picks[rows]), (trace.parts[1], trace.right_picks[rows])]
        else:
            genes[:, trace.gene] = lattice.kept[trace.gene][trace.picks[rows]]
    return genes
