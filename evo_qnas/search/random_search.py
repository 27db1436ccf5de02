"""Random search: every genome not tried yet is equally likely next."""

from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.seen import Seen
from evo_qnas.spaces import Space


@final
class RandomSearch(Optimizer):
    """Draws without repetition; what it is told changes nothing but what it draws again."""

    def __init__(
        self, space: Space, *, population: int, rng: np.random.Generator, seeds: Int[np.ndarray, "s genes"]
    ) -> None:
        self._seen = Seen(space)
        self._population = population
        self._rng = rng
        self._seeds = self._seen.unmet(seeds)

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The seeds first, then random gene values; none when the space is exhausted."""
        if len(self._seeds):
            seeds, self._seeds = self._seeds, self._seeds[:0]
            return seeds
        return self._seen.random(self._rng, self._population)

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Remembers what was tried."""
        self._seen.meet(genes)
