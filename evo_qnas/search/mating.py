"""Parents of the next generation: tournaments, and partners that are near in the objectives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MatingTuning:
    """Numbers of `MatingPool`.

    Attributes:
        end_share: share of the tournaments won by the best of each objective, by measurements on generated tables
            (`benchmarks/search_speed.py`).
        most_candidates: most random members among which a partner is the nearest; by the same measurements.
        rows_at_once: rows whose candidates fit the processor's cache.
    """

    end_share: float = 0.03
    most_candidates: int = 32
    rows_at_once: int = 512


_TUNING = MatingTuning()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MatingPool:
    """The members of a population as parents.

    Attributes:
        ranks: (n,) int64, 0 is best.
        crowding: (n,) float64, crowding distance within the rank.
        scaled: (n, m) float64, objectives as shares of their ranges.
    """

    ranks: Int[np.ndarray, " n"]
    crowding: Float[np.ndarray, " n"]
    scaled: Float[np.ndarray, "n m"]

    @classmethod
    def empty(cls) -> "MatingPool":
        """No members."""
        return cls(ranks=np.empty(0, dtype=np.int64), crowding=np.empty(0), scaled=np.empty((0, 0)))

    def pairs(
        self, rng: np.random.Generator, n: int, *, neighbourhood: int
    ) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """`n` pairs of parents: tournament winners, each with a member that is near in the objectives.

        Args:
            rng: draws.
            n: how many.
            neighbourhood: a partner is about so near as the member of this number in the order of distance; 0 draws it
                by a tournament of its own.
        """
        members = len(self.ranks)
        if not neighbourhood or members < 3:
            winners = self.tournaments(rng, 2 * n)
            return winners[:n], winners[n:]
        first = self.tournaments(rng, n)
        # The nearest of some random members costs less than sorting all distances and is near enough. They stand next
        # to each other in one random order of all, which is read faster than members here and there.
        some = min(_TUNING.most_candidates, max(2, members // neighbourhood), members - 1)
        order = rng.permutation(members)
        place = np.empty_like(order)
        place[order] = np.arange(members)
        start = rng.integers(0, members, size=n)
        wrapped = np.concatenate([order, order[: some - 1]])
        windows = [sliding_window_view(column.take(wrapped), some) for column in self.scaled.T]
        second = np.empty(n, dtype=np.int64)
        for begin in range(0, n, _TUNING.rows_at_once):
            part = slice(begin, begin + _TUNING.rows_at_once)
            at = start[part]
            nearest = self._nearest(first[part], windows, at, (place[first[part]] - at) % members)
            second[part] = wrapped[at + nearest]
        return first, second

    def _nearest(
        self,
        first: Int[np.ndarray, " n"],
        windows: Sequence[Float[np.ndarray, "members some"]],
        start: Int[np.ndarray, " n"],
        own: Int[np.ndarray, " n"],
    ) -> Int[np.ndarray, " n"]:
        """Which of each window's members is nearest to the first parent, itself left out.

        Args:
            first: the first parents.
            windows: per objective the windows of the random order, by where they begin.
            start: where each parent's window begins.
            own: where in its window the first parent stands; beyond its end where it does not.
        """
        apart = np.zeros((len(first), windows[0].shape[1]))
        for column, window in zip(self.scaled.T, windows, strict=True):
            difference = window[start]
            difference -= column.take(first)[:, None]
            difference *= difference
            apart += difference
        inside = np.flatnonzero(own < apart.shape[1])
        apart[inside, own[inside]] = np.inf
        nearest: np.ndarray = apart.argmin(axis=1)
        return nearest

    def tournaments(self, rng: np.random.Generator, n: int) -> Int[np.ndarray, " n"]:
        """Winners of `n` binary tournaments: the lower rank, then the larger crowding distance, then the first.

        A small share is won by the best of each objective, without which an unlucky run loses an end of the front.
        """
        pairs = rng.integers(0, len(self.ranks), size=(2, n))
        rank, crowd = self.ranks[pairs], self.crowding[pairs]
        second = (rank[1] < rank[0]) | ((rank[1] == rank[0]) & (crowd[1] > crowd[0]))
        winners: np.ndarray = np.where(second, pairs[1], pairs[0])
        front = np.flatnonzero(self.ranks == 0)
        best = front[self.scaled[front].argmin(axis=0)]
        share = int(np.ceil(_TUNING.end_share * n))
        ends = np.repeat(best, share)[:n]
        winners[: len(ends)] = ends
        return winners
