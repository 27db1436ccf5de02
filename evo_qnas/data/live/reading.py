"""From collated batches to what a model is called with and what its metric and loss are told."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import torch
from torch.utils import _pytree as pytree

from evo_qnas.data.examples import Examples
from evo_qnas.data.live.content import content_of
from evo_qnas.data.live.sources import Source
from evo_qnas.data.nests import Nest, leaves, rows
from evo_qnas.errors import DataError

Part = Callable[[Any], Any]


def first_part(batch: Any) -> Any:
    """The inputs of a batch where nothing else is said: the first of several parts, or all of it.

    Raises:
        DataError: the batch is a dict, whose keys only its owner knows.
    """
    if isinstance(batch, dict):
        raise DataError(
            f"batches are dicts with the keys {', '.join(map(repr, batch))}: say what the model is called with, "
            "inputs=lambda batch: .."
        )
    return batch[0] if isinstance(batch, list | tuple) else batch


def second_part(batch: Any) -> Any:
    """The targets of a batch where nothing else is said: the second of several parts, None where there is one."""
    return batch[1] if isinstance(batch, list | tuple) and len(batch) > 1 else None


def no_targets(batch: Any) -> None:
    """None: there are no labels."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Parts of a collated batch.

    Attributes:
        inputs: gives a tensor, a tuple (arguments) or a dict (keyword arguments).
        targets: gives any nest, None where there are no labels.
    """

    inputs: Part = first_part
    targets: Part = second_part

    def read(self, batch: Any) -> tuple[Nest, Nest]:
        """Inputs, floats among them float32, and targets in their own dtype.

        Raises:
            DataError: the inputs hold no tensor.
        """
        inputs = self.inputs(batch)
        inputs = tuple(inputs) if isinstance(inputs, list) else inputs
        made = pytree.tree_map(_narrow, pytree.tree_map(_tensor, inputs))
        if not leaves(made):
            raise DataError(f"inputs of a batch are a {type(inputs).__name__} without tensors: say which, inputs=..")
        return made, pytree.tree_map(_tensor, self.targets(batch))


def _tensor(value: Any) -> Any:
    """Arrays as tensors; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(np.ascontiguousarray(value))
    return torch.as_tensor(value) if isinstance(value, np.generic) else value


def _narrow(value: Any) -> Any:
    """Floats as float32."""
    return value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


@final
class LiveExamples(Examples):
    """Examples of a source, read by two callables."""

    def __init__(self, source: Source, reading: Reading) -> None:
        """Takes nothing yet."""
        self.source, self.reading = source, reading

    def __len__(self) -> int:
        return len(self.source)

    def take(self, chosen: Any) -> tuple[Nest, Nest]:
        """Inputs and targets of the examples that `chosen` names."""
        return self.reading.read(self.source.batch(indices_of(chosen, len(self))))

    @cached_property
    def sample(self) -> Nest:
        """Inputs of the first example."""
        return rows(self.take(slice(0, 1))[0], slice(0, 1))

    def parts(self, size: int) -> Iterator[tuple[Nest, Nest]]:
        """All examples in order."""
        for batch in self.source.batches(size):
            yield self.reading.read(batch)

    @cached_property
    def content(self) -> str:
        """A digest of the data, not of what reads them."""
        return content_of(self.source.content)


def indices_of(chosen: Any, count: int) -> Sequence[int]:
    """Indices that a slice, a tensor or a sequence names.

    Example:
        >>> list(indices_of(slice(1, None), 4)), indices_of(torch.tensor([2, 0]), 4)
        ([1, 2, 3], [2, 0])
    """
    if isinstance(chosen, slice):
        return range(*chosen.indices(count))
    made = torch.as_tensor(chosen)
    if made.dtype is torch.bool:
        made = made.nonzero()[:, 0]
    return [int(index) for index in made]
