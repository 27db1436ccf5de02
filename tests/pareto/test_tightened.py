"""Limits that rounding alone misses are asked for again below the sum that missed them."""

import numpy as np

from evo_qnas.pareto.exact import _Answer, _tightened
from evo_qnas.pareto.lattice import lattice
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Tables


def test_each_missed_limit_moves_below_the_smallest_sum_that_missed_it() -> None:
    tables = Tables.from_arrays(
        {
            "score": [np.array([3.0, 2.0, 1.0])] * 2,
            "size_bytes": [np.array([1.0, 2.0, 4.0])] * 2,
            "macs": [np.array([5.0, 7.0, 11.0])] * 2,
        }
    )
    problem = TableProblem(tables, objectives=["score"], constraints=["size_bytes <= 7", "macs <= 20"])
    assert problem.additive is not None
    whole = lattice(problem.additive)
    bounds = dict(whole.limits)
    assert len(bounds) == 2
    (size, macs) = (dimension for dimension, _ in whole.limits)
    genes = np.array([[2, 1], [2, 2]])
    answer = _Answer(
        genomes=genes[:0],
        objectives=np.empty((0, 1)),
        error=np.zeros(1),
        missed=genes,
        missed_limits=np.array([[True, False], [True, False]]),
    )
    changed = dict(_tightened(whole, answer).limits)
    assert changed[size] == whole.sum_of(genes[0], size) - 1.0 < bounds[size]
    assert changed[macs] == bounds[macs]
