"""Random search: every genome not tried yet is equally likely next."""

from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.search.visited import Visited
from evo_qnas.spaces import Space


@final
class RandomSearch(Optimizer):
    """Draws without repetition, whatever the objectives."""

    def __init__(
        self, space: Space, *, population: int, rng: np.random.Generator, seeds: Int[np.ndarray, "s genes"]
    ) -> None:
        self._visited = Visited(space)
        self._population = population
        self._rng = rng
        self._seeds = self._visited.filter_new(seeds)

    @property
    def takes_others(self) -> bool:
        """True: whatever was evaluated is of use."""
        return True

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The seeds first, then random gene values; none when the space is exhausted."""
        if len(self._seeds):
            seeds, self._seeds = self._seeds, self._seeds[:0]
            return seeds
        return self._visited.random(self._rng, self._population)

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Marks the rows as visited."""
        self._visited.mark(genes)


@final
class RandomAlgorithm(Algorithm):
    """`random`: the baseline of every comparison."""

    about = "every network not tried yet is equally likely next"

    def make(self, context: SearchContext) -> RandomSearch:
        """The optimizer, which evaluates the seeds first."""
        seeds = context.seeds().astype(np.int64)
        return RandomSearch(context.space, population=context.population, rng=context.rng, seeds=seeds)
