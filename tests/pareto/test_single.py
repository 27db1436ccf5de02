import numpy as np
import pytest

from evo_qnas.pareto import exact_front
from evo_qnas.pareto.lattice import lattice
from evo_qnas.pareto.single import relaxed_minimum, smallest_sum
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Tables


def problem_of(limit: str) -> TableProblem:
    columns = {"score": [np.array([0.0, 4.0, np.pi])], "size_bytes": [np.array([2.0, 0.0, 2.0])]}
    return TableProblem(Tables.from_arrays(columns), objectives=["score"], constraints=[limit])


def test_the_relaxation_lies_between_no_limit_and_the_optimum() -> None:
    problem = problem_of("size_bytes <= 1")
    assert problem.additive is not None
    # Half of the first and half of the second choice; whole choices leave only the second.
    assert relaxed_minimum(problem.additive, np.ones(1)) == pytest.approx(2.0)
    assert exact_front(problem).objectives.tolist() == [[4.0]]
    free = problem_of("size_bytes <= 2")
    assert free.additive is not None
    assert relaxed_minimum(free.additive, np.ones(1)) == 0.0
    assert exact_front(free).objectives.tolist() == [[0.0]]


def test_no_answer_is_an_empty_one() -> None:
    problem = problem_of("size_bytes <= -1")
    assert problem.additive is not None
    assert smallest_sum(lattice(problem.additive)).shape == (0, 1)


def test_a_limit_missed_by_less_than_the_solver_sees_is_missed() -> None:
    sizes = np.array([1.0 + 1e-9, 1.0])
    columns = {"score": [np.array([0.0, 1.0])] * 3, "size_bytes": [sizes] * 3}
    problem = TableProblem(
        Tables.from_arrays(columns), objectives=["score"], constraints=["size_bytes <= 3.0000000015"]
    )
    assert exact_front(problem).objectives.tolist() == [[2.0]]
