"""Obvious and slow twins of the Pareto mathematics."""

from itertools import product

import numpy as np

from evo_qnas.problem import Problem


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


def front_rows(points: np.ndarray) -> list[int]:
    """Rows that no other dominates, of equal ones the first."""
    kept = []
    for row, point in enumerate(points):
        if not np.isfinite(point).all():
            continue
        finite = [other for other in points if np.isfinite(other).all()]
        if any(dominates(other, point) for other in finite):
            continue
        if any(np.array_equal(points[earlier], point) for earlier in range(row)):
            continue
        kept.append(row)
    return kept


def all_genomes(problem: Problem) -> np.ndarray:
    genes = np.array(list(product(*(range(count) for count in problem.space.counts))), dtype=np.int64)
    return problem.space.decode(genes)


def brute_front(problem: Problem) -> np.ndarray:
    """Distinct objective vectors of the true front, sorted."""
    objectives, excess = problem.evaluate(all_genomes(problem))
    rows = np.unique(objectives[(excess <= 0.0).all(axis=1)], axis=0)
    return rows[front_rows(rows)]
