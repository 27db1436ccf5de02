"""NSGA-II on gene matrices: the whole population at once, no network ever asked for twice."""

from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.search.linear_model import LinearModel
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.ranking import constrained_ranks, crowding, first_rank
from evo_qnas.search.seen import Seen
from evo_qnas.search.told import Told
from evo_qnas.search.variation import Variation

_ROUNDS = 10
_MOST_MADE = 4.0
# Chosen by measurements on generated tables (benchmarks/search_speed.py).
_CALM = 0.03
_GROWTH = 1.3
_LARGEST = 50
_CHILDREN = 0.5
_ENDS = 0.03
_CANDIDATES = 32
# Rows whose candidates fit the processor's cache.
_AT_ONCE = 512
_MEMORY = 0.8
_LEAST_LEARNT = 0.05
_MOST_LEARNT = 0.8


@final
class NSGA2(Optimizer):
    """Non-dominated sorting, crowding and binary tournaments over gene values.

    Source: Deb, Pratap, Agarwal & Meyarivan 2002. What differs: variation is made for unordered choices; mates are near
    each other on the front, where their halves fit together (`Recipe.mates`); a child that was evaluated before is
    replaced by a new one; the ends of the front are parents in every
    generation; and the population grows, to 50 times its size at most, while children hardly beat the front
    any more but still fill its gaps, and shrinks again where they do. Where `learn` is set, a linear model of all that
    was told (`LinearModel`) makes a share of the children, optima and near-optima of random weighted
    sums under it; the share follows how many of them survive beside the bred ones, between 0.05 and 0.8.
    """

    def __init__(
        self,
        variation: Variation,
        *,
        population: int,
        rng: np.random.Generator,
        seeds: Int[np.ndarray, "s genes"],
        learn: bool = True,
        seen: Seen | None = None,
    ) -> None:
        """Starts from the seeds.

        Args:
            variation: crossover and mutation.
            population: networks kept, and asked for at once.
            rng: of all draws.
            seeds: gene values to start from.
            learn: let a linear model make some of the children.
            seen: what the search has met, where it keeps count itself; None keeps an own count.
        """
        self._variation = variation
        self._population = population
        self._rng = rng
        self._seen = Seen(variation.space) if seen is None else seen
        self._start = self._first(seeds.astype(variation.space.narrow, copy=False))
        self._kept = Told.nothing(self._start)
        self._ranks = np.empty(0, dtype=np.int64)
        self._crowding = np.empty(0)
        self._scaled = np.empty((0, 0))
        self._room = float(population)
        self._unrest: float | None = None
        self._yield = 1.0
        self._model = LinearModel(variation.space) if learn else None
        self._share = 0.5
        self._learnt = 0

    def _first(self, seeds: Int[np.ndarray, "s genes"]) -> Int[np.ndarray, "n genes"]:
        """The seeds, filled up with random gene values to one population at least."""
        seeds = self._seen.unmet(seeds)
        missing = self._population - len(seeds)
        if missing <= 0:
            return seeds
        return self._seen.unmet(np.concatenate([seeds, self._random(missing)]))

    def _random(self, n: int) -> Int[np.ndarray, "got genes"]:
        """Up to `n` random gene values that no one has met yet."""
        return self._seen.random(self._rng, n).astype(self._variation.space.narrow, copy=False)

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The first population, then one generation of children per call."""
        if len(self._start):
            start, self._start = self._start, self._start[:0]
            return start
        wanted = max(self._population, int(_CHILDREN * self._room))
        learnt = self._foretold(int(np.ceil(self._share * wanted)))
        self._learnt = len(learnt)
        return self._children(wanted, learnt)

    def _foretold(self, wanted: int) -> Int[np.ndarray, "n genes"]:
        """Up to `wanted` children that the model takes for the best, and that no one has met yet."""
        if self._model is None:
            return self._kept.genes[:0]
        found = self._seen.unmet(self._model.children(self._rng, wanted))
        return found[np.sort(self._rng.permutation(len(found))[:wanted])]

    def _children(self, wanted: int, found: Int[np.ndarray, "l genes"]) -> Int[np.ndarray, "n genes"]:
        """Those found and children that no one has met yet; random gene values where variation finds too few."""
        for _ in range(_ROUNDS):
            missing = wanted - len(found)
            if missing <= 0 or not len(self._kept):
                break
            # As many more as lately turned out to be duplicates, so that one round does.
            made = int(np.ceil(missing * min(_MOST_MADE, 1.1 / self._yield)))
            first, second = self._pairs(made)
            children = self._variation.children(self._rng, self._kept.genes[first], self._kept.genes[second])
            before = len(found)
            found = self._seen.unmet(np.concatenate([found, children]))
            self._yield = max(0.1, 0.5 * self._yield + 0.5 * (len(found) - before) / made)
        missing = wanted - len(found)
        if missing > 0:
            found = self._seen.unmet(np.concatenate([found, self._random(missing)]))
        return self._seen.leading(found, wanted)

    def _pairs(self, n: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Members to mate: tournament winners, each with one that is near in the objectives."""
        mates, members = self._variation.recipe.mates, len(self._kept)
        if not mates or members < 3:
            winners = self._tournaments(2 * n)
            return winners[:n], winners[n:]
        first = self._tournaments(n)
        # The nearest of some random members costs less than sorting all distances and is near enough.
        some = min(_CANDIDATES, max(2, members // mates))
        candidates = self._rng.integers(0, members - 1, size=(n, some))
        second = np.empty(n, dtype=np.int64)
        for start in range(0, n, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            second[part] = self._nearest(first[part], candidates[part])
        return first, second

    def _nearest(self, first: Int[np.ndarray, " n"], candidates: Int[np.ndarray, "n some"]) -> Int[np.ndarray, " n"]:
        """Of the candidates, numbered without the first mate, the one that is nearest to it."""
        others = candidates + (candidates >= first[:, None])
        apart = np.zeros(others.shape)
        for column in self._scaled.T:
            step = column.take(others)
            step -= column.take(first)[:, None]
            step *= step
            apart += step
        nearest: np.ndarray = others[np.arange(len(first)), apart.argmin(axis=1)]
        return nearest

    def _tournaments(self, n: int) -> Int[np.ndarray, " n"]:
        """Winners of `n` binary tournaments: the lower rank, then the larger crowding distance, then the first.

        A small share is given to the best of each objective, without which an unlucky run loses an end of the front.
        """
        pairs = self._rng.integers(0, len(self._kept), size=(2, n))
        rank, crowd = self._ranks[pairs], self._crowding[pairs]
        second = (rank[1] < rank[0]) | ((rank[1] == rank[0]) & (crowd[1] > crowd[0]))
        winners: np.ndarray = np.where(second, pairs[1], pairs[0])
        front = np.flatnonzero(self._ranks == 0)
        best = front[self._scaled[front].argmin(axis=0)]
        share = int(np.ceil(_ENDS * n))
        ends = np.repeat(best, share)[:n]
        winners[: len(ends)] = ends
        return winners

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Keeps the best of the population and its children."""
        self._seen.meet(genes)
        if self._model is not None:
            self._model.add(genes, objectives)
        before = self._ranks == 0
        told = self._kept.joined(genes, objectives, violation)
        keep, self._ranks, self._crowding = self._survivors(told, before)
        self._judge(keep - len(before), len(told) - len(before))
        self._kept = told.chosen(keep)
        finite = _finite(self._kept.objectives)
        span = np.ptp(finite, axis=0)
        self._scaled = finite / np.where(span > 0, span, 1.0)

    def _survivors(
        self, told: Told, before: Bool[np.ndarray, " old"]
    ) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " kept"], Float[np.ndarray, " kept"]]:
        """The rows to keep, best first, with their ranks and crowding distances.

        Args:
            told: the old population, then its children.
            before: which of the old population were of the first rank.
        """
        first = first_rank(told.objectives, told.violation)
        size = self._size(first, before)
        rows = np.flatnonzero(first)
        # Where the first rank alone fills the population, the others need no telling apart.
        ranks = np.zeros(len(rows), dtype=np.int64)
        if len(rows) < size:
            rows = np.arange(len(told))
            ranks = constrained_ranks(told.objectives, told.violation)
        distance = crowding(_finite(told.objectives[rows]), ranks)
        keep = np.lexsort((-distance, ranks))[:size]
        return rows[keep], ranks[keep], distance[keep]

    def _judge(self, kept: Int[np.ndarray, " kept"], children: int) -> None:
        """Moves the model's share of the children to its share of what the two sources' children survive by.

        Args:
            kept: the children that survive, the model's first; negative numbers are of the old population.
            children: how many there were.
        """
        if not 0 < self._learnt < children:
            return
        learnt = float(((kept >= 0) & (kept < self._learnt)).sum()) / self._learnt
        bred = float((kept >= self._learnt).sum()) / (children - self._learnt)
        fair = learnt / (learnt + bred) if learnt + bred > 0 else 0.5
        share = _MEMORY * self._share + (1.0 - _MEMORY) * fair
        self._share = min(_MOST_LEARNT, max(_LEAST_LEARNT, share))

    def _size(self, first: Bool[np.ndarray, " n"], before: Bool[np.ndarray, " old"]) -> int:
        """How many to keep: one population, or the whole first rank as far as there is room for it.

        Args:
            first: which of the old population, then its children, are of the first rank.
            before: which of the old population were.
        """
        front = int(first.sum())
        most = float(_LARGEST * self._population)
        if not len(before):
            self._room = min(most, float(max(self._population, front)))
            return int(self._room)
        beaten = float((~first[: len(before)][before]).mean()) * self._population / (len(first) - len(before))
        self._unrest = beaten if self._unrest is None else _MEMORY * self._unrest + (1.0 - _MEMORY) * beaten
        self._room = self._room * _GROWTH if self._unrest < _CALM else self._room / _GROWTH
        self._room = min(most, max(float(self._population), self._room))
        return int(min(self._room, max(self._population, front)))


def _finite(objectives: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """The objectives with 0 for what is no number."""
    found: np.ndarray = np.where(np.isfinite(objectives), objectives, 0.0)
    return found
