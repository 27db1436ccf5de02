"""The gene values visited so far, looked up by exact keys."""

from typing import final

import numpy as np
from jaxtyping import Bool, Int

from evo_qnas.spaces import Space

# Up to so many gene values are listed where drawing finds no new ones: 8 MB a gene. Chosen, not measured.
_ENUMERABLE = 1_000_000
# Rounds of drawing before that. Chosen, not measured.
_ROUNDS = 20


@final
class Visited:
    """A growing set of gene values, with the row at which each was first visited."""

    def __init__(self, space: Space) -> None:
        self.space = space
        largest = int(space.counts.max(initial=1)) - 1
        self._dtype = np.min_scalar_type(largest)
        self._width = self._dtype.itemsize * max(1, len(space.genes))
        self._rows: dict[bytes, int] = {}
        # Keys of the last gene values asked about: a search asks about the same ones several times.
        self._last: tuple[np.ndarray, list[bytes]] | None = None
        self._added: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    @property
    def full(self) -> bool:
        """True when every genome of the space was visited."""
        return len(self._rows) >= self.space.size

    def keys(self, values: Int[np.ndarray, "n genes"]) -> list[bytes]:
        """One exact key per row (numpy strips closing zero bytes, which keeps keys of one width distinct)."""
        if self._last is not None and self._last[0] is values:
            return self._last[1]
        if not values.shape[1]:
            return [b""] * len(values)
        packed = np.ascontiguousarray(values, dtype=self._dtype)
        keys: list[bytes] = packed.view(f"S{self._width}").ravel().tolist()
        self._last = values, keys
        return keys

    def add(self, values: Int[np.ndarray, "n genes"]) -> tuple[Int[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
        """The row number of each of `values`, and True where it is visited for the first time."""
        known, before = self._rows, len(self._rows)
        keys = self.keys(values)
        self._added = values
        fresh = dict(zip(keys, range(before, before + len(keys)), strict=True))
        if len(fresh) == len(keys) and known.keys().isdisjoint(fresh):
            known.update(fresh)
            return np.arange(before, len(known)), np.ones(len(keys), dtype=bool)
        numbers = [known.setdefault(key, len(known)) for key in keys]
        rows = np.array(numbers, dtype=np.int64)
        highest = np.maximum.accumulate(np.concatenate([[before - 1], rows]))
        return rows, rows > highest[:-1]

    def mark(self, values: Int[np.ndarray, "n genes"]) -> None:
        """Marks `values` as visited; does nothing where they were just added."""
        if self._added is not values:
            self.add(values)

    def filter_new(self, values: Int[np.ndarray, "n genes"]) -> Int[np.ndarray, "kept genes"]:
        """The rows of `values` that were not visited, each once, in their order; marks none of them."""
        keys, known = self.keys(values), self._rows
        first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        if len(first) == len(keys) and known.keys().isdisjoint(first):
            return values
        for key in known.keys() & first.keys():
            del first[key]
        places = sorted(first.values())
        kept = values[places]
        self._last = kept, [keys[place] for place in places]
        return kept

    def repeated(self, values: Int[np.ndarray, "n genes"]) -> Bool[np.ndarray, " n"]:
        """True where a row was visited before, or equals an earlier one of `values`."""
        keys = self.keys(values)
        first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        old = np.ones(len(values), dtype=bool)
        old[[index for key, index in first.items() if key not in self._rows]] = False
        return old

    def leading(self, values: Int[np.ndarray, "n genes"], most: int) -> Int[np.ndarray, "kept genes"]:
        """The first `most` rows of `values`."""
        if len(values) <= most:
            return values
        kept = values[:most]
        if self._last is not None and self._last[0] is values:
            self._last = kept, self._last[1][:most]
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
