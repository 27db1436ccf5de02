"""The gene values visited so far, looked up exactly."""

from typing import final

import numpy as np
from jaxtyping import Bool, Int, UInt64

from evo_qnas.spaces import Space

# Up to so many gene values are listed where drawing finds no new ones: 8 MB a gene. Chosen, not measured.
_ENUMERABLE = 1_000_000
# Rounds of drawing before that. Chosen, not measured.
_ROUNDS = 20


# Slots of the hash table for each row: probes stay short, and it takes 16 to 32 bytes a row.
_SLOTS = 2
_FEWEST_SLOTS = 4096
_FREE = -1


@final
class Visited:
    """A growing set of gene values, with the row at which each was first visited.

    A hash table with open addressing, asked for whole arrays at once. Equal hashes are followed by a comparison of the
    gene values themselves, so that the answers are exact.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        genes = len(space.genes)
        # Wrapping sums with random factors: their upper bits are spread evenly.
        self._factors = np.random.default_rng(0).integers(0, 2**63, size=genes, dtype=np.uint64) * np.uint64(2) + 1
        self._count = 0
        self._values = np.empty((0, genes), dtype=np.min_scalar_type(int(space.counts.max(initial=1)) - 1))
        self._hashes = np.empty(0, dtype=np.uint64)
        self._slots = np.full(_FEWEST_SLOTS, _FREE, dtype=np.int64)
        # The last gene values asked about with their hashes, and the last ones known to be new and distinct: a search
        # asks about the same ones several times.
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._new: np.ndarray | None = None
        self._added: np.ndarray | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """True when every genome of the space was visited."""
        return self._count >= self.space.size

    def _hashed(self, values: Int[np.ndarray, "n genes"]) -> UInt64[np.ndarray, " n"]:
        """A hash of each row."""
        if self._last is None or self._last[0] is not values:
            self._last = values, values.astype(np.uint64) @ self._factors
        return self._last[1]

    def _home(self, hashes: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The slot at which the search for each hash begins."""
        home: np.ndarray = (hashes >> np.uint64(65 - len(self._slots).bit_length())).astype(np.int64)
        return home

    def _find(self, values: Int[np.ndarray, "n genes"]) -> Int[np.ndarray, " n"]:
        """The row at which each of `values` was visited, -1 for those that were not."""
        hashes = self._hashed(values)
        at = self._home(hashes)
        found = self._slots.take(at)
        left = np.flatnonzero(found != _FREE)
        at = at[left]
        while len(left):
            held = found[left]
            other = self._hashes[held] != hashes[left]
            other[~other] = (self._values[held[~other]] != values[left[~other]]).any(axis=1)
            left, at = left[other], (at[other] + 1) & (len(self._slots) - 1)
            found[left] = held = self._slots[at]
            taken = held != _FREE
            left, at = left[taken], at[taken]
        return found

    def _insert(self, values: Int[np.ndarray, "n genes"], hashes: UInt64[np.ndarray, " n"]) -> None:
        """Takes in gene values that are distinct and were not visited."""
        stop = self._count + len(values)
        if stop > len(self._hashes):
            more = max(stop, 2 * len(self._hashes), _FEWEST_SLOTS) - len(self._hashes)
            self._hashes = np.concatenate([self._hashes, np.empty(more, dtype=np.uint64)])
            self._values = np.concatenate([self._values, np.empty((more, values.shape[1]), dtype=self._values.dtype)])
        self._values[self._count : stop], self._hashes[self._count : stop] = values, hashes
        first, self._count = self._count, stop
        if _SLOTS * stop > len(self._slots):
            self._slots = np.full(1 << (2 * _SLOTS * stop - 1).bit_length(), _FREE, dtype=np.int64)
            first = 0
        rows = np.arange(first, stop)
        at = self._home(self._hashes[first:stop])
        while len(rows):
            free = self._slots[at] == _FREE
            # Of several rows for one slot the last one gets it; the others go on.
            self._slots[at[free]] = rows[free]
            left = self._slots[at] != rows
            rows, at = rows[left], (at[left] + 1) & (len(self._slots) - 1)

    def _firsts(
        self, values: Int[np.ndarray, "all genes"], new: Int[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " n"]]:
        """Of the rows `new` the first of each kind, as places among `new` in their order, and the kind of each row."""
        hashes = self._hashed(values)[new]
        ordered = np.sort(hashes)
        if not (ordered[1:] == ordered[:-1]).any():
            return np.arange(len(new)), np.arange(len(new))
        values = values[new]
        first, number = np.unique(hashes, return_index=True, return_inverse=True)[1:]
        if (values != values[first[number]]).any():
            first, number = np.unique(values, axis=0, return_index=True, return_inverse=True)[1:]
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return first[order], place[number.ravel()]

    def add(self, values: Int[np.ndarray, "n genes"]) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """The row number of each of `values`, and True where it is visited for the first time."""
        before, hashes = self._count, self._hashed(values)
        known_new, self._new, self._added = self._new is values, None, values
        if known_new:
            self._insert(values, hashes)
            return np.arange(before, self._count), np.ones(len(values), dtype=bool)
        rows = self._find(values)
        new = np.flatnonzero(rows == _FREE)
        first, number = self._firsts(values, new)
        self._insert(values[new[first]], hashes[new[first]])
        rows[new] = before + number
        fresh = np.zeros(len(values), dtype=bool)
        fresh[new[first]] = True
        return rows, fresh

    def mark(self, values: Int[np.ndarray, "n genes"]) -> None:
        """Marks `values` as visited; does nothing where they were just added."""
        if self._added is not values:
            self.add(values)

    def filter_new(self, values: Int[np.ndarray, "n genes"]) -> Int[np.ndarray, "kept genes"]:
        """The rows of `values` that were not visited, each once, in their order; marks none of them."""
        old = self.repeated(values)
        if old.any():
            kept = np.flatnonzero(~old)
            values, hashes = values[kept], self._hashed(values)[kept]
            self._last = values, hashes
        self._new = values
        return values

    def repeated(self, values: Int[np.ndarray, "n genes"]) -> Bool[np.ndarray, " n"]:
        """True where a row was visited before, or equals an earlier one of `values`."""
        old: np.ndarray = self._find(values) != _FREE
        new = np.flatnonzero(~old)
        first = self._firsts(values, new)[0]
        if len(first) < len(new):
            old[:] = True
            old[new[first]] = False
        return old

    def leading(self, values: Int[np.ndarray, "n genes"], most: int) -> Int[np.ndarray, "kept genes"]:
        """The first `most` rows of `values`."""
        if len(values) <= most:
            return values
        kept = values[:most]
        if self._last is not None and self._last[0] is values:
            self._last = kept, self._last[1][:most]
        if self._new is values:
            self._new = kept
        return kept

    def random(self, rng: np.random.Generator, n: int) -> Int[np.ndarray, "got genes"]:
        """Up to `n` distinct gene values drawn uniformly among those not visited; fewer where no more are left."""
        shape = (len(self.space.genes),)
        new = np.empty((0, *shape), dtype=np.int64)
        for _ in range(_ROUNDS):
            if len(new) >= n:
                break
            drawn = rng.integers(0, self.space.counts, size=(n - len(new), *shape))
            new = self.filter_new(np.concatenate([new, drawn]))
        if len(new) < n and self.space.size <= _ENUMERABLE:
            every = np.stack(np.unravel_index(np.arange(self.space.size), tuple(self.space.counts)), axis=1)
            left = self.filter_new(every.astype(np.int64))
            new = left[rng.permutation(len(left))[:n]]
        return new[:n]
