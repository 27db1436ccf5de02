"""Runs that are judged by another problem than the one that was searched."""

import numpy as np

from evo_qnas.compare.entries import entries_of
from evo_qnas.compare.runs import Task
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Tables

TABLES = Tables.from_arrays(
    {"score": [np.array([2.0, 1.0])] * 3, "size_bytes": [np.array([1.0, 2.0])] * 3, "macs": [np.array([1.0, 3.0])] * 3}
)


def test_networks_that_the_truth_calls_infeasible_have_no_value_and_those_on_its_limit_have() -> None:
    (entry,) = entries_of(["random"])
    # macs are 3, 5, 7, 9 for 0..3 wide blocks: a limit of 7 is met exactly by two of them.
    truth = TableProblem(TABLES, objectives=["score", "size_bytes"], constraints=["macs <= 7"])
    problem = TableProblem(TABLES, objectives=["score", "size_bytes"])
    run = Task(case="a", problem=problem, truth=truth, entry=entry, seed=0, evaluations=8, path=None).run()
    values = {tuple(row) for row in run.judged.tolist() if np.isfinite(row).all()}
    assert values == {(6.0, 3.0), (5.0, 4.0), (4.0, 5.0)}
    assert np.isnan(run.judged).any()
    assert {tuple(row) for row in run.objectives.tolist()} == {*values, (3.0, 6.0)}
