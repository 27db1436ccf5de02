import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from evo_qnas.errors import InfeasibleError, ProblemError
from evo_qnas.pareto import exact_front, require_feasible, smallest_reachable
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables
from tests.pareto.slow import all_genomes


def problem_of(*limits: str, objectives: tuple[str, ...] = ("score", "size_bytes")) -> TableProblem:
    columns = {
        "score": [np.array([0.0, 4.0]), np.array([0.0, 6.0])],
        "size_bytes": [np.array([8.0, 2.0]), np.array([9.0, 3.0])],
        "latency_ms": [np.array([1.5, 2.5]), np.array([1.91, 2.0])],
    }
    tables = Tables.from_arrays(columns, fixed={"size_bytes": 100.0})
    return TableProblem(tables, objectives=list(objectives), constraints=list(limits))


def test_the_smallest_reachable_value_is_named() -> None:
    problem = problem_of("latency_ms <= 2.0")
    with pytest.raises(InfeasibleError, match=r"^latency_ms <= 2 cannot be met: the smallest reachable is 3.41$"):
        exact_front(problem)
    reach = smallest_reachable(problem)
    assert reach.low.tolist() == [0.0, 105.0]
    assert reach.high.tolist() == [10.0, 117.0]
    assert reach.nearest.tolist() == pytest.approx([3.41])
    assert not reach.together


@pytest.mark.parametrize(("least", "limit", "shown"), [(1.23456789, "1", "1.23457"), (2.00000001, "2", "2.00000001")])
def test_reachable_values_have_six_digits_or_those_that_tell_them_from_the_limit(
    least: float, limit: str, shown: str
) -> None:
    tables = Tables.from_arrays({"score": [np.array([1.0, 2.0])], "latency_ms": [np.array([least, 3.0])]})
    reach = smallest_reachable(TableProblem(tables, ["score"], constraints=[f"latency_ms <= {limit}"]))
    assert reach.reason == f"latency_ms <= {limit} cannot be met: the smallest reachable is {shown}"


def test_lower_limits_fixed_costs_and_several_limits_are_named_too() -> None:
    found = smallest_reachable(problem_of("size_bytes >= 118", "size_bytes <= 104", "score <= 3"))
    texts = {
        "size_bytes >= 118 cannot be met: the largest reachable is 117",
        "size_bytes <= 104 cannot be met: the smallest reachable is 105",
    }
    assert set(found.reason.split("; ")) == texts
    assert found.alone.tolist() == [False, False, True]


def test_limits_that_exclude_each_other_are_named() -> None:
    problem = problem_of("score <= 3", "latency_ms <= 50", "size_bytes <= 110")
    reach = smallest_reachable(problem)
    assert reach.alone.all()
    assert not reach.together
    text = "score <= 3 and size_bytes <= 110 cannot be met together: under score <= 3 the smallest reachable is 117"
    assert reach.reason == text
    with pytest.raises(InfeasibleError, match="cannot be met together"):
        require_feasible(problem)
    with pytest.raises(InfeasibleError, match="cannot be met together"):
        exact_front(problem)
    require_feasible(problem_of("score <= 4", "size_bytes <= 111"))


def test_what_is_no_sum_is_refused_or_left_alone() -> None:
    tables = generate_tables(3, operators=2)
    problem = TableProblem(tables, objectives=["max:latency_ms"])
    with pytest.raises(ProblemError, match="only for objectives and limits that are sums"):
        smallest_reachable(problem)
    require_feasible(problem)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_together_is_brute_force(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c"][:count]
    columns = {name: [rng.integers(0, 9, 3).astype(np.float64) for _ in range(4)] for name in names}
    limits = [f"{name} <= {rng.integers(4, 20)}" for name in names]
    problem = TableProblem(Tables.from_arrays(columns), objectives=["a"], constraints=limits)
    excess = problem.evaluate(all_genomes(problem))[1]
    reach = smallest_reachable(problem)
    assert reach.together == bool((excess <= 0.0).all(axis=1).any())
    assert bool(reach.reason) == (not reach.together)
    assert np.array_equal(reach.alone, (excess <= 0.0).any(axis=0))
    bounds = np.array([float(limit.split()[-1]) for limit in limits])
    assert np.array_equal(reach.nearest, excess.min(axis=0) + bounds)
