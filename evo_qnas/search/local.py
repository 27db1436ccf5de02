"""Pareto local search: look at all networks one gene away from those that nothing beats."""

from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import nondominated
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.search.population import Population
from evo_qnas.search.visited import Visited
from evo_qnas.spaces import Space

# A restart draws one random network for so many of the population. Chosen, not measured.
_RESTARTS = 10


@final
class LocalSearch(Optimizer):
    """Explores the one-gene neighbourhood of every non-dominated network; starts anew when all are explored.

    Source: Paquete, Chiarandini & Stützle 2004. What differs: neighbours are tried in random order and in
    batches, and where no limit is met yet the network that violates least is explored.
    """

    def __init__(
        self, space: Space, *, population: int, rng: np.random.Generator, seeds: Int[np.ndarray, "s genes"]
    ) -> None:
        self._space = space
        self._visited = Visited(space)
        self._population = population
        self._rng = rng
        self._start = self._visited.filter_new(seeds)
        self._front = Population.empty(seeds)
        self._explored = np.empty(0, dtype=bool)
        self._queue = seeds[:0]

    @property
    def takes_others(self) -> bool:
        """True: whatever was evaluated is of use."""
        return True

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The seeds first, then neighbours of an unexplored member of the front, then random networks."""
        if len(self._start):
            start, self._start = self._start, self._start[:0]
            return start
        while not len(self._queue) and not self._explored.all():
            index = int(self._rng.choice(np.flatnonzero(~self._explored)))
            self._explored[index] = True
            self._queue = self._visited.filter_new(self._neighbours(self._front.genes[index]))
        if not len(self._queue):
            return self._visited.random(self._rng, max(1, self._population // _RESTARTS))
        batch, self._queue = self._queue[: self._population], self._queue[self._population :]
        return batch

    def _neighbours(self, genes: Int[np.ndarray, " genes"]) -> Int[np.ndarray, "n genes"]:
        """All gene values that differ in one gene, in random order."""
        counts = self._space.counts
        columns = np.repeat(np.arange(len(counts)), counts)
        options = np.concatenate([np.arange(count) for count in counts])
        rows = np.tile(genes, (len(columns), 1))
        rows[np.arange(len(columns)), columns] = options
        return rows[self._rng.permutation(len(rows))]

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Keeps what nothing beats; where no limit is met, the least violation."""
        self._visited.mark(genes)
        union = self._front.joined(genes, objectives, violation)
        explored = np.zeros(len(union), dtype=bool)
        explored[: len(self._explored)] = self._explored
        least = union.violation <= max(0.0, float(union.violation.min(initial=np.inf)))
        rows = np.flatnonzero(least & np.isfinite(union.objectives).all(axis=1))
        keep = rows[nondominated(union.objectives[rows])]
        self._front, self._explored = union.chosen(keep), explored[keep]


@final
class LocalAlgorithm(Algorithm):
    """`local`: a strong baseline on smooth spaces."""

    about = "Pareto local search over one-gene neighbours (Paquete et al. 2004)"

    def make(self, context: SearchContext) -> LocalSearch:
        """The optimizer, which evaluates the seeds first."""
        seeds = context.seeds().astype(np.int64)
        return LocalSearch(context.space, population=context.population, rng=context.rng, seeds=seeds)
