"""Collated batches by index, whatever the data lie in."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from evo_qnas.data.live.content import content_of
from evo_qnas.data.nests import Nest, leaves, length, mapped
from evo_qnas.errors import DataError

Collate = Callable[[list[Any]], Any]


class Source(ABC):
    """Batches as a loader would collate them, by index."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abstractmethod
    def batch(self, indices: Sequence[int]) -> Any:
        """The collated batch of these examples; equal indices give an equal one."""

    def batches(self, size: int) -> Iterator[Any]:
        """All examples in order."""
        for start in range(0, len(self), size):
            yield self.batch(range(start, min(start + size, len(self))))

    @property
    @abstractmethod
    def content(self) -> str:
        """A digest of the data."""


@final
class Columns(Source):
    """Arrays or tensors, examples first, in one nest."""

    def __init__(self, nest: Nest) -> None:
        """Takes the arrays as they are; memory-mapped ones stay so.

        Raises:
            DataError: there is none, or they are not of equally many examples.
        """
        self._nest = nest
        counts = {len(leaf) for leaf in leaves(nest)}
        if len(counts) != 1:
            raise DataError(f"arrays must have one number of examples, got {sorted(counts) or 'none'}")

    def __len__(self) -> int:
        return length(self._nest)

    def batch(self, indices: Sequence[int]) -> Any:
        """Rows of every array."""
        first, last = (indices[0], indices[-1]) if len(indices) else (0, -1)
        in_order = isinstance(indices, range) and indices.step == 1
        chosen = slice(first, last + 1) if in_order else torch.as_tensor(list(indices), dtype=torch.int64)
        return mapped(lambda leaf: leaf[chosen], self._nest)

    @property
    def content(self) -> str:
        """That of all numbers."""
        return content_of(self._nest)


@final
class Items(Source):
    """Anything with a length whose items are taken by index, and a function that collates them.

    What an item draws at random depends on its index alone, so that every process sees the same.
    """

    def __init__(self, items: Any, collate: Collate, *, seed: int, workers: int = 0) -> None:
        """Takes nothing yet.

        Args:
            items: with `len` and `[index]`.
            collate: of a list of items.
            seed: of what items draw.
            workers: processes that read where all examples are read in order.
        """
        self._items, self._collate, self._seed, self._workers = items, collate, seed, workers

    def __len__(self) -> int:
        return len(self._items)

    def batch(self, indices: Sequence[int]) -> Any:
        """The collated items."""
        seeded = _Seeded(self._items, self._seed)
        return self._collate([seeded[int(index)] for index in indices])

    def batches(self, size: int) -> Iterator[Any]:
        """All items in order, read by the workers."""
        if not self._workers:
            yield from super().batches(size)
            return
        loader: DataLoader[Any] = DataLoader(
            _Seeded(self._items, self._seed),
            batch_size=size,
            collate_fn=self._collate,
            num_workers=self._workers,
            # Of its own, so that reading draws nothing from anybody else's numbers.
            generator=torch.Generator().manual_seed(self._seed),
        )
        yield from loader

    @property
    def content(self) -> str:
        """That of the object, and of 256 items spread evenly: contents of files that no item reads are not covered."""
        seeded = _Seeded(self._items, self._seed)
        return content_of(self._items, (seeded[index] for index in _spread(len(self))), self._collate)


_LOOKED_AT = 256  # items that stand for a data set whose files cannot all be read for a digest. Chosen.


def _spread(count: int) -> list[int]:
    """Indices spread evenly."""
    return sorted({round(at) for at in np.linspace(0, count - 1, min(count, _LOOKED_AT))}) if count else []


@final
class _Seeded(Dataset[Any]):
    """Items whose random draws depend on their index alone."""

    def __init__(self, items: Any, seed: int) -> None:
        self._items, self._seed = items, seed

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Any:
        with _drawing(self._seed, index):
            return self._items[index]


@contextmanager
def _drawing(seed: int, index: int) -> Iterator[None]:
    """Random numbers of torch, numpy and Python that depend on seed and index; afterwards as if nothing was drawn."""
    mine = (seed * 1_000_003 + index) % 2**32
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002  # what users' transforms draw from
    torch.manual_seed(mine)
    np.random.seed(mine)  # noqa: NPY002  # the same
    random.seed(mine)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002  # the same
        random.setstate(states[2])
