"""The one interface of data: examples that are counted, taken by index and read in batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final


class Examples(ABC):
    """Inputs with their targets, of one part of a data set.

    Contract: equal indices give equal examples whenever and in whichever process they are taken, so that nothing
    depends on the number of workers. Inputs are a tensor, a tuple of them (arguments of the model) or a dict (keyword
    arguments), examples first; floats are float32. Targets are any nest of tensors in their own dtype.
    """

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abstractmethod
    def take(self, chosen: Any) -> tuple[Any, Any]:
        """Inputs and targets of the examples that `chosen` names: a tensor of indices, or a slice."""

    @property
    @abstractmethod
    def sample(self) -> Any:
        """Inputs of one example, as they are stored: for shapes alone."""

    def batches(self, size: int = 64) -> Iterator[tuple[Any, Any]]:
        """Inputs and targets of all examples in order, `size` at a time."""
        return self.parts(size)

    def parts(self, size: int) -> Iterator[tuple[Any, Any]]:
        """All examples in order, `size` at a time, as `take` gives them."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """The parts of a data set.

    Attributes:
        train: teaches teacher, candidates and fine-tuning, and calibrates ranges.
        search: scores choices and checks predictions; never trained on.
        test: touched by final validation only.
        classes: class names; () where there are none.
        preprocessing: how raw inputs become those that models get, None where nothing is known: `mean` and `std` that
            are taken out after a division by `divide`, `layout`, `channels`, `size` (height, width).
    """

    train: Examples
    search: Examples
    test: Examples
    classes: tuple[str, ...]
    preprocessing: Mapping[str, Any] | None = None
