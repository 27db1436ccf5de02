"""NSGA-II on gene matrices: the whole population at once, no network ever asked for twice."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.capacity import Capacity
from evo_qnas.search.context import SearchContext
from evo_qnas.search.linear_model import LinearModel
from evo_qnas.search.mating import MatingPool
from evo_qnas.search.model_gate import ModelGate
from evo_qnas.search.population import Population
from evo_qnas.search.ranking import constrained_ranks, crowding, first_rank
from evo_qnas.search.variation import Variation
from evo_qnas.search.visited import Visited


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NSGA2Tuning:
    """Numbers of `NSGA2`, chosen by measurements on generated tables (`benchmarks/search_speed.py`) where not said.

    Attributes:
        children: children of a generation, as a share of the capacity; one population at least.
        rounds: most rounds of variation for one generation, before random gene values fill it up; chosen, not measured.
        most_surplus: most children made for each one that is missing; chosen, not measured.
        memory: weight of the earlier generations in the model's share of the children.
        least_model_share: least share of the children that the model makes.
        most_model_share: largest share of the children that the model makes.
        drawn: random gene values of a generation, as a share of it, while the model explores.
        many_seeds: seeds for each member of the population where three or more objectives are all additive: their front
            has room for more, which is taken at full speed.
    """

    children: float = 0.5
    rounds: int = 10
    most_surplus: float = 4.0
    memory: float = 0.8
    least_model_share: float = 0.05
    most_model_share: float = 0.8
    drawn: float = 0.7
    many_seeds: int = 180


_TUNING = NSGA2Tuning()


@final
class NSGA2(Optimizer):
    """Non-dominated sorting, crowding and binary tournaments over gene values.

    Source: Deb, Pratap, Agarwal & Meyarivan 2002. What differs: variation is made for unordered choices; parents are
    near each other on the front, where their halves fit together (`Recipe.mating_neighbourhood`); a child that was
    evaluated before is replaced by a new one; the ends of the front are parents in every generation; and the population
    grows, to 50 times its size at most, while children hardly beat the front any more but still fill its gaps, and
    shrinks again where they do (`Capacity`). Where `learn` is set, a linear model of all evaluations (`LinearModel`)
    makes a share of the children, optima and near-optima of random weighted sums under it, once it predicts the bred
    ones (`ModelGate`); the share follows how many of them survive beside the bred ones, between 0.05 and 0.8.
    """

    def __init__(
        self,
        variation: Variation,
        *,
        population: int,
        rng: np.random.Generator,
        seeds: Int[np.ndarray, "s genes"],
        learn: bool = True,
        visited: Visited | None = None,
    ) -> None:
        """Starts from the seeds.

        Args:
            variation: crossover and mutation.
            population: networks kept, and asked for at once.
            rng: of all draws.
            seeds: gene values to start from.
            learn: let a linear model make some of the children.
            visited: the search's own record of what it evaluated; None keeps a record here.
        """
        self._variation = variation
        self._population = population
        self._rng = rng
        self._visited = Visited(variation.space) if visited is None else visited
        self._start = self._first(seeds.astype(variation.space.narrow, copy=False))
        self._members = Population.empty(self._start)
        self._pool = MatingPool.empty()
        self._capacity = Capacity(population)
        self._yield = 1.0
        self._model = LinearModel(variation.space) if learn else None
        self._gate = ModelGate(population)
        self._model_share = 0.5
        self._from_model = self._not_bred = 0

    def _first(self, seeds: Int[np.ndarray, "s genes"]) -> Int[np.ndarray, "n genes"]:
        """The seeds, filled up with random gene values to one population at least."""
        seeds = self._visited.filter_new(seeds)
        missing = self._population - len(seeds)
        if missing <= 0:
            return seeds
        return self._visited.filter_new(np.concatenate([seeds, self._random(missing)]))

    def _random(self, n: int) -> Int[np.ndarray, "got genes"]:
        """Up to `n` random gene values that were not visited."""
        return self._visited.random(self._rng, n).astype(self._variation.space.narrow, copy=False)

    @property
    def takes_others(self) -> bool:
        """True: whatever was evaluated is of use."""
        return True

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The first population, then one generation of children per call."""
        if len(self._start):
            start, self._start = self._start, self._start[:0]
            return start
        size = max(self._population, int(_TUNING.children * self._capacity.value))
        predicted = self._predicted(int(np.ceil(self._model_share * size)))
        self._from_model = self._not_bred = len(predicted)
        if self._model is not None and self._model.explores:
            drawn = self._random(int(_TUNING.drawn * size))
            predicted = self._visited.filter_new(np.concatenate([predicted, drawn]))
            self._not_bred = len(predicted)
        return self._children(max(size, len(predicted)), predicted)

    def _predicted(self, most: int) -> Int[np.ndarray, "n genes"]:
        """Up to `most` children that the model takes for the best, and that were not visited."""
        if self._model is None or not self._gate.is_open(len(self._visited)):
            return self._members.genes[:0]
        new = self._visited.filter_new(self._model.children(self._rng, most))
        return new[np.sort(self._rng.permutation(len(new))[:most])]

    def _children(self, size: int, new: Int[np.ndarray, "l genes"]) -> Int[np.ndarray, "n genes"]:
        """`new` and further children that were not visited; random gene values where variation makes too few."""
        for _ in range(_TUNING.rounds):
            missing = size - len(new)
            if missing <= 0 or not len(self._members):
                break
            # As many more as lately turned out to be duplicates, so that one round does.
            made = int(np.ceil(missing * min(_TUNING.most_surplus, 1.02 / self._yield)))
            neighbourhood = self._variation.recipe.mating_neighbourhood
            first, second = self._pool.pairs(self._rng, made, neighbourhood=neighbourhood)
            children = self._variation.children(
                self._rng, self._members.genes.take(first, axis=0), self._members.genes.take(second, axis=0)
            )
            before = len(new)
            new = self._visited.filter_new(np.concatenate([new, children]))
            self._yield = max(0.1, 0.5 * self._yield + 0.5 * (len(new) - before) / made)
        missing = size - len(new)
        if missing > 0:
            new = self._visited.filter_new(np.concatenate([new, self._random(missing)]))
        return self._visited.leading(new, size)

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Keeps the best of the population and its children."""
        self._visited.mark(genes)
        if self._model is not None:
            if self._model.additive is not None:
                bred = slice(self._from_model, None)
                self._gate.judge(self._model.additive.sums(genes[bred])[0], objectives[bred])
            self._model.add(genes, objectives)
        before = self._pool.ranks == 0
        union = self._members.joined(genes, objectives, violation)
        keep, ranks, distance = self._survivors(union, before)
        self._judge(keep - len(before), len(union) - len(before))
        self._members = union.chosen(keep)
        finite = _finite(self._members.objectives)
        span = np.ptp(finite, axis=0)
        self._pool = MatingPool(ranks=ranks, crowding=distance, scaled=finite / np.where(span > 0, span, 1.0))

    def _survivors(
        self, union: Population, before: Bool[np.ndarray, " old"]
    ) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
        """The rows to keep, best first, with their ranks and crowding distances.

        Args:
            union: the old population, then its children.
            before: which of the old population were of the first rank.
        """
        first = first_rank(union.objectives, union.violation)
        size = self._capacity.size(first, before)
        rows = np.flatnonzero(first)
        # Where the first rank alone fills the population, the others need no telling apart.
        ranks = np.zeros(len(rows), dtype=np.int64)
        if len(rows) < size:
            rows = np.arange(len(union))
            ranks = constrained_ranks(union.objectives, union.violation)
        distance = crowding(_finite(union.objectives[rows]), ranks)
        keep = np.lexsort((-distance, ranks))[:size]
        return rows[keep], ranks[keep], distance[keep]

    def _judge(self, kept: Int[np.ndarray, " kept"], children: int) -> None:
        """Moves the model's share of the children to its share of what the two sources' children survive by.

        Args:
            kept: the children that survive, the model's first; negative numbers are of the old population.
            children: how many there were.
        """
        if not 0 < self._from_model <= self._not_bred < children:
            return
        predicted = float(((kept >= 0) & (kept < self._from_model)).sum()) / self._from_model
        bred = float((kept >= self._not_bred).sum()) / (children - self._not_bred)
        fair = predicted / (predicted + bred) if predicted + bred > 0 else 0.5
        share = _TUNING.memory * self._model_share + (1.0 - _TUNING.memory) * fair
        self._model_share = min(_TUNING.most_model_share, max(_TUNING.least_model_share, share))


def _finite(objectives: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """The objectives with 0 for what is no number."""
    finite: np.ndarray = np.where(np.isfinite(objectives), objectives, 0.0)
    return finite


@final
class NSGA2Algorithm(Algorithm):
    """`nsga2`: the default."""

    about = "non-dominated sorting and crowding on whole gene matrices (Deb et al. 2002); the default"

    def make(self, context: SearchContext) -> NSGA2:
        """The optimizer; it learns a linear model where the seeds do not know the sums already."""
        additive = context.problem.additive is not None
        many = additive and len(context.problem.objectives) > 2
        return NSGA2(
            context.variation,
            population=context.population,
            rng=context.rng,
            seeds=context.seeds(per_member=_TUNING.many_seeds if many else None),
            learn=not (context.seeding and additive),
            visited=context.visited,
        )
