"""The parts that a search offers to its algorithm."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Int

from evo_qnas.problem import Problem
from evo_qnas.search.reduction import Reduction, all_sums, useful_options
from evo_qnas.search.seeding import seed_genes
from evo_qnas.search.variation import Recipe, Variation
from evo_qnas.search.visited import Visited
from evo_qnas.spaces import Space

# Seeds for each member of the population. Where all is additive, optima of weighted sums lie on the front; elsewhere
# they are only a start. Chosen, not measured.
_SEEDS_OF_SUMS = 20
_SEEDS_OTHERWISE = 4


@final
@dataclass(kw_only=True)
class Taken:
    """What an algorithm has taken from its context.

    Attributes:
        seeds: starting points that it was given.
    """

    seeds: int = 0


@final
@dataclass(frozen=True, kw_only=True)
class SearchContext:
    """Everything that an algorithm may need for one search; each part is computed when it is first asked for.

    Attributes:
        problem: objectives and limits, in its own space.
        population: networks kept, and asked for at once.
        seed: of all random numbers; `rng` is made of it.
        recipe: rates of crossover and mutation.
        seeding: start from baselines, uniform bits and optima of weighted sums; without it there are no seeds.
        reduce: leave out options that another option of their gene beats in every sum, where all is additive.
        taken: what the algorithm has made use of.
        known: genomes that are among the starting points whatever `seeding` says; None for none.
    """

    problem: Problem
    population: int
    seed: int
    recipe: Recipe
    seeding: bool
    reduce: bool
    taken: Taken = field(default_factory=Taken)
    known: Int[np.ndarray, "n blocks"] | None = None

    @cached_property
    def rng(self) -> np.random.Generator:
        """The one generator of all draws of the search."""
        return np.random.default_rng(self.seed)

    @cached_property
    def space(self) -> Space:
        """The space whose gene values the optimizer asks for."""
        return self.problem.space if self._reduction is None else self._reduction.space

    @cached_property
    def visited(self) -> Visited:
        """The record of all gene values that were evaluated, which the search keeps; empty before the search."""
        return Visited(self.space)

    @cached_property
    def variation(self) -> Variation:
        """Crossover and mutation over `space`."""
        return Variation(self.space, self.recipe)

    def seeds(self, *, per_member: int | None = None) -> Int[np.ndarray, "s genes"]:
        """Gene values of `space` to start from, integers of `Space.narrow`; none without `seeding`.

        Args:
            per_member: the most seeds for each member of the population, whatever the budget, so that it can grow; None
                for 20 where all is additive, else 4.
        """
        narrow = self.problem.space.narrow
        known = np.empty((0, len(self.problem.space.genes)), dtype=narrow)
        if self.known is not None:
            known = self.problem.space.encode(self.known).astype(narrow)
        if not self.seeding:
            seeds = known
        else:
            if per_member is None:
                per_member = _SEEDS_OTHERWISE if self.problem.additive is None else _SEEDS_OF_SUMS
            seeds = seed_genes(self.problem, most=per_member * self.population, useful=self._useful)
            if len(known):
                joined = np.concatenate([known, seeds])
                seeds = joined[np.sort(np.unique(joined, axis=0, return_index=True)[1])]
        self.taken.seeds = len(seeds)
        return seeds if self._reduction is None else self._reduction.moved(seeds)

    @property
    def options_left_out(self) -> int:
        """Options of the problem's own space that `space` does not have."""
        return int(self.problem.space.counts.sum() - self.space.counts.sum())

    @cached_property
    def _sums(self) -> tuple[np.ndarray, ...]:
        """Per gene what each option adds; none where not all is additive."""
        return () if self.problem.additive is None else all_sums(self.problem.additive)

    @cached_property
    def _useful(self) -> list[np.ndarray] | None:
        """Per gene the options that no other one beats; None where that is not known."""
        return useful_options(self._sums) if self._sums else None

    @cached_property
    def _reduction(self) -> Reduction | None:
        """The reduced space, None where the whole one is searched."""
        if not self.reduce or self._useful is None:
            return None
        return Reduction.of(self.problem.space, self._sums, self._useful)
