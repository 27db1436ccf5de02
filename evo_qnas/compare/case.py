"""The problems of a comparison: how their fronts are judged, and how their true fronts are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.pareto import exact_front, front_mask
from evo_qnas.problem import Problem, TableProblem
from evo_qnas.tables import Tables

# Points of a reference front: the distances of every run are taken to each of them.
MOST_POINTS = 100_000
# Networks that are all evaluated for a true front: their genomes of 20 blocks take 0.7 GB.
MOST_NETWORKS = 1 << 22
# Networks at a time: their genomes of 20 blocks take 10 MB.
_CHUNK = 1 << 16


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFront:
    """A front known without the compared runs.

    Attributes:
        points: (n, m) float64, all objectives minimised, none dominates another.
        exact: whether no point of the true front is missing.
        how: how it was found, a phrase.
    """

    points: Float[np.ndarray, "n m"]
    exact: bool
    how: str


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """One problem of a comparison.

    Attributes:
        name: unique in the comparison, fit for a folder name.
        problem: what the algorithms see.
        truth: what their fronts are judged by, of the same genomes and objectives; None for the problem itself.
        known: finds the true front; None takes the front of sums where all is additive, else the best of the runs.
        evaluations: the most evaluations of a run on this problem, whatever was asked for; None for no bound.
        about: one sentence for people.
    """

    name: str
    problem: Problem
    truth: Problem | None = None
    known: Callable[[], KnownFront] | None = None
    evaluations: int | None = None
    about: str = ""

    def budget(self, evaluations: int) -> int:
        """Evaluations of each run where `evaluations` were asked for."""
        return evaluations if self.evaluations is None else min(evaluations, self.evaluations)

    def known_front(self) -> KnownFront | None:
        """The front that can be known without the runs, None where there is no way."""
        if self.known is not None:
            return self.known()
        judge = self.truth or self.problem
        return summed_front(judge) if judge.additive is not None else None


def summed_front(problem: Problem, *, guarantee: float | None = None) -> KnownFront:
    """The front of an additive problem; where it has more than 100,000 points, one within a proven distance of it.

    Args:
        problem: with an additive form.
        guarantee: see `exact_front`.
    """
    front = exact_front(problem, max_points=MOST_POINTS, guarantee=guarantee)
    if front.exact:
        return KnownFront(points=front.objectives, exact=True, how="exact front, by merging the blocks' sums")
    how = f"front of sums, none of the true front further than {front.share:.2%} of each range from it"
    return KnownFront(points=front.objectives, exact=False, how=how)


def enumerated_front(problem: Problem) -> KnownFront:
    """The exact front of a small problem, by evaluating every network.

    Raises:
        ProblemError: there are more than 4,194,304 networks.
    """
    space = problem.space
    if space.size > MOST_NETWORKS:
        raise ProblemError(f"{space.size:,} networks are too many to evaluate all: at most {MOST_NETWORKS:,}")
    best = np.empty((0, len(problem.objectives)))
    for start in range(0, space.size, _CHUNK):
        numbers = np.arange(start, min(start + _CHUNK, space.size))
        genes = np.stack(np.unravel_index(numbers, tuple(space.counts)), axis=1).astype(np.int64)
        objectives, excess = problem.evaluate(space.decode(genes))
        best = np.concatenate([best, objectives[(excess <= 0).all(axis=1)]])
        best = best[front_mask(best)]
    return KnownFront(points=_sorted(best), exact=True, how=f"exact front, by evaluating all {space.size:,} networks")


def grouped_front(problem: Problem, groups: Sequence[Sequence[int]]) -> KnownFront:
    """The exact front of a problem without limits whose objectives are sums over groups of blocks, not over blocks.

    All choices of each group are evaluated together; the groups' sums are merged like those of blocks.

    Args:
        problem: every gene is one block; that its objectives are such sums is the caller's word.
        groups: positions of blocks, each block in one group.
    """
    first = np.zeros((1, len(problem.space.blocks)), dtype=np.int64)
    base = problem.evaluate(first)[0][0]
    names = [f"objective{index}" for index in range(len(base))]
    combinations = [_combinations(problem, group) for group in groups]
    parts = []
    for group, chosen in zip(groups, combinations, strict=True):
        genomes = np.repeat(first, len(chosen), axis=0)
        genomes[:, list(group)] = chosen
        parts.append(problem.evaluate(genomes)[0] - base)
    tables = Tables.from_arrays(
        {name: [part[:, index] for part in parts] for index, name in enumerate(names)},
        fixed=dict(zip(names, base.tolist(), strict=True)),
    )
    merged = exact_front(TableProblem(tables, names), max_points=MOST_POINTS)
    genomes = np.zeros((len(merged.genomes), len(problem.space.blocks)), dtype=np.int64)
    for index, (group, chosen) in enumerate(zip(groups, combinations, strict=True)):
        genomes[:, list(group)] = chosen[merged.genomes[:, index]]
    values, _ = problem.evaluate(genomes)
    how = f"exact front, by merging the sums of {len(groups)} groups of blocks"
    return KnownFront(points=_sorted(values[front_mask(values)]), exact=merged.exact, how=how)


def _combinations(problem: Problem, group: Sequence[int]) -> Int[np.ndarray, "combinations members"]:
    """All choices of the blocks of one group."""
    return np.array(list(product(*(range(int(problem.space.choices[block])) for block in group))), dtype=np.int64)


def _sorted(points: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """By the first objective, then the next ones."""
    ordered: np.ndarray = points[np.lexsort(points.T[::-1])]
    return ordered
