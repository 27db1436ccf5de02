"""Some of the examples of a data set."""

from collections.abc import Iterator, Sequence
from typing import Any, final

import numpy as np

from evo_qnas.data.examples import Examples
from evo_qnas.data.live.content import content_of
from evo_qnas.data.live.reading import LiveExamples, indices_of
from evo_qnas.data.nests import Nest
from evo_qnas.errors import DataError


@final
class Subset(Examples):
    """The chosen examples of another set, in this order."""

    def __init__(self, whole: "LiveExamples | Subset", chosen: Sequence[int]) -> None:
        self._whole, self._chosen = whole, tuple(int(index) for index in chosen)

    def __len__(self) -> int:
        return len(self._chosen)

    def take(self, chosen: Any) -> tuple[Nest, Nest]:
        """Inputs and targets of the examples that `chosen` names."""
        wanted = indices_of(chosen, len(self))
        return self._whole.take([self._chosen[index] for index in wanted])

    @property
    def sample(self) -> Nest:
        """Inputs of the first example of the whole set."""
        return self._whole.sample

    def parts(self, size: int) -> Iterator[tuple[Nest, Nest]]:
        """All examples in order."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    @property
    def content(self) -> str:
        """A digest of the whole set and of what is chosen."""
        return content_of([self._whole.content, np.array(self._chosen)])


def drawn_apart(whole: LiveExamples | Subset, shares: Sequence[float], *, seed: int) -> tuple[Subset, ...]:
    """Parts of a set that share no example: one for each share, then the rest.

    Raises:
        DataError: there are too few examples for that.
    """
    order = np.random.default_rng(seed).permutation(len(whole))
    counts = [round(share * len(whole)) for share in shares]
    if min([*counts, len(whole) - sum(counts)]) < 1:
        raise DataError(f"{len(whole)} examples are too few to set {' and '.join(map(str, shares))} of them apart")
    ends = np.cumsum(counts)
    parts = np.split(order, ends)
    return tuple(Subset(whole, np.sort(part).tolist()) for part in parts)
