"""Arguments of exact fronts at the ends of what is allowed."""

import pytest

from evo_qnas.errors import ProblemError
from evo_qnas.pareto import exact_front
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables

PROBLEM = TableProblem(generate_tables(3), ["score", "size_bytes"])


@pytest.mark.parametrize("guarantee", [0.0, 1.0])
def test_a_guarantee_of_nothing_or_of_everything_is_refused(guarantee: float) -> None:
    with pytest.raises(ProblemError, match=rf"0 < guarantee < 1 are needed, got \d+ and {guarantee}"):
        exact_front(PROBLEM, guarantee=guarantee)


def test_no_points_are_refused_and_one_point_is_too_few_for_this_front() -> None:
    with pytest.raises(ProblemError, match=r"max_points >= 1 .* got 0 and None"):
        exact_front(PROBLEM, max_points=0)
    with pytest.raises(ProblemError, match=r"the front outgrows max_points=1, whatever the error"):
        exact_front(PROBLEM, max_points=1)
