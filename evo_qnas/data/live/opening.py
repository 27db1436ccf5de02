"""From whatever a user hands over to `Examples`."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
    default_collate,
)

from evo_qnas.data.live.reading import LiveExamples, Reading
from evo_qnas.data.live.sources import Columns, Items, Source
from evo_qnas.data.live.spool import SPOOLED, spooled
from evo_qnas.data.live.subset import Subset
from evo_qnas.errors import DataError


def examples_of(
    data: Any, reading: Reading, *, folder: Path, seed: int = 0, budget_bytes: int = 8 * 2**30
) -> LiveExamples | Subset:
    """The examples of a data set, a loader, a stream of batches, arrays, or anything with `len` and `[index]`.

    A `DataLoader` is taken apart: its data set, its collating function and its number of workers are used, its batch
    size and order are not; of a sampler of some indices those are taken. Batches that can only be iterated are kept in
    files.

    Args:
        data: of the user.
        reading: of collated batches.
        folder: where streams are kept.
        seed: of what items draw at random.
        budget_bytes: most that a stream may take there.

    Raises:
        DataError: it is nothing of these, or has no examples.
    """
    if isinstance(data, LiveExamples | Subset):
        return data
    if isinstance(data, DataLoader):
        return _of_loader(data, reading, folder=folder, seed=seed, budget_bytes=budget_bytes)
    source = _source(data, seed)
    if source is not None:
        return _filled(LiveExamples(source, reading))
    if isinstance(data, Iterable):
        if iter(data) is data:
            raise DataError(
                f"{type(data).__name__} can be read once only: hand over something that can be iterated anew"
            )
        return LiveExamples(spooled(data, reading, folder, budget_bytes=budget_bytes), SPOOLED)
    raise DataError(
        f"{type(data).__name__} is no data: give a Dataset, a DataLoader, arrays, anything with len and [index], or an "
        "iterable of batches"
    )


def _of_loader(
    loader: DataLoader[Any], reading: Reading, *, folder: Path, seed: int, budget_bytes: int
) -> LiveExamples | Subset:
    """The examples of a loader's data set, those that its sampler names."""
    if isinstance(loader.dataset, IterableDataset):
        return LiveExamples(spooled(loader, reading, folder, budget_bytes=budget_bytes), SPOOLED)
    source: Source | None = None
    if loader.collate_fn is default_collate:
        source = _columns(loader.dataset)
    if source is None:
        source = Items(loader.dataset, loader.collate_fn, seed=seed, workers=loader.num_workers)
    whole = _filled(LiveExamples(source, reading))
    if loader.sampler is None or isinstance(loader.sampler, RandomSampler | SequentialSampler):
        return whole
    chosen = sorted({int(index) for index in loader.sampler})
    return whole if len(chosen) == len(whole) else Subset(whole, chosen)


def _filled(examples: LiveExamples) -> LiveExamples:
    if not len(examples):
        raise DataError("the data have no examples")
    return examples


def _source(data: Any, seed: int) -> Source | None:
    """Arrays as columns, indexable data by item; None for what can only be iterated."""
    columns = _columns(data)
    if columns is not None:
        return columns
    if isinstance(data, IterableDataset) or not (_has(data, "__getitem__") and _has(data, "__len__")):
        return None
    return Items(data, default_collate, seed=seed)


def _columns(data: Any) -> Columns | None:
    """The columns of arrays, of a tuple or dict of arrays, or of a `TensorDataset`; None for anything else."""
    if isinstance(data, TensorDataset):
        return Columns(tuple(data.tensors))
    if isinstance(data, np.ndarray | torch.Tensor):
        return Columns(_tensor(data))
    if isinstance(data, tuple) and data and all(isinstance(part, np.ndarray | torch.Tensor) for part in data):
        return Columns(tuple(_tensor(part) for part in data))
    if isinstance(data, dict) and data and all(isinstance(part, np.ndarray | torch.Tensor) for part in data.values()):
        return Columns({name: _tensor(part) for name, part in data.items()})
    return None


def _tensor(data: Any) -> torch.Tensor:
    """A tensor on the same memory, also where that is only to be read, as of `np.load(.., mmap_mode="r")`."""
    if isinstance(data, torch.Tensor):
        return data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(data)


def _has(data: Any, name: str) -> bool:
    return callable(getattr(type(data), name, None))
