import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.errors import ProblemError
from evo_qnas.pareto import front_mask, hypervolume, nondominated, weight_sweep, weighted_sum_optima
from evo_qnas.pareto.filters import Screen, minima
from evo_qnas.pareto.fronts import undominated
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables
from tests.pareto.slow import dominates, front_rows

VALUES = st.sampled_from([0.0, -0.0, 1.0, 2.0, 3.0, -1.0, np.nan, np.inf, -np.inf])
POINTS = st.integers(1, 4).flatmap(
    lambda m: st.lists(st.lists(VALUES, min_size=m, max_size=m), min_size=1, max_size=12)
)


@settings(max_examples=150, deadline=None)
@given(POINTS)
def test_nondominated_is_its_slow_twin(rows: list[list[float]]) -> None:
    points = np.array(rows)
    assert np.flatnonzero(nondominated(points)).tolist() == front_rows(points)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("levels", [12, 10**6])
def test_many_points_have_moocore_s_front(m: int, levels: int) -> None:
    points = np.random.default_rng(m).integers(0, levels, size=(3000, m)) * 1.0
    np.testing.assert_array_equal(nondominated(points), moocore.is_nondominated(points, keep_weakly=False))
    np.testing.assert_array_equal(undominated(points), moocore.is_nondominated(points, keep_weakly=True))


def test_nan_never_comes_first() -> None:
    points = np.array([[np.nan, 0.0], [1.0, 1.0], [-np.inf, 0.0]])
    assert moocore.is_nondominated(points).tolist() != [False, True, False], "moocore guards NaN: drop our guard"
    assert nondominated(points).tolist() == [False, True, False]
    assert nondominated(np.full((2, 2), np.nan)).tolist() == [False, False]
    assert nondominated(np.empty((0, 2))).tolist() == []


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5), st.integers(0, 40), st.integers(0, 10**6))
def test_minima_are_the_front(d: int, n: int, seed: int) -> None:
    points = np.random.default_rng(seed).integers(0, 5, (d, n)).astype(np.float64)
    assert sorted(minima(points)) == front_rows(points.T)


@pytest.mark.parametrize("d", [2, 3, 4])
def test_screen_stops_only_dominated_points_and_most_of_them(d: int) -> None:
    points = np.random.default_rng(d).random((d, 20_000))
    screen = Screen(points.min(axis=1), points.max(axis=1), points.shape[1])
    screen.add(points)
    screen.close()
    passed = screen.passes(points)
    front = points[:, minima(points)]
    assert screen.passes(front).all()
    for row in np.flatnonzero(~passed)[:200]:
        assert any(dominates(other, points[:, row]) for other in front.T)
    assert passed.mean() < 0.35


def test_hypervolume_closed_form() -> None:
    assert hypervolume(np.array([[0.0, 0.5], [0.5, 0.0]]), np.ones(2)) == 0.75
    assert hypervolume(np.array([[0.25, 0.5, 0.5]]), np.ones(3)) == 0.75 * 0.25
    assert hypervolume(np.array([[0.5]]), np.ones(1)) == 0.5


def test_hypervolume_leaves_out_what_is_not_below_the_reference() -> None:
    points = np.array([[0.5, 0.5], [np.nan, 0.0], [-np.inf, 0.0], [1.0, 0.0], [2.0, -1.0]])
    assert hypervolume(points, np.ones(2)) == 0.25
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0.0


@pytest.mark.parametrize("reference", [np.ones(3), np.array([1.0, np.nan])])
def test_hypervolume_refuses_a_reference_that_does_not_fit(reference: np.ndarray) -> None:
    with pytest.raises(ProblemError, match="the reference point needs 2 finite numbers"):
        hypervolume(np.zeros((1, 2)), reference)


def test_weight_sweep_is_the_whole_simplex() -> None:
    weights = weight_sweep(3, 4)
    assert weights.shape == (15, 3)
    assert np.allclose(weights.sum(axis=1), 1.0)
    assert len(np.unique(weights, axis=0)) == 15
    assert weight_sweep(1, 1).tolist() == [[1.0]]


def test_weighted_sum_optima_beat_random_networks() -> None:
    problem = TableProblem(generate_tables(5, operators=3, seed=1), objectives=["score", "latency_ms"])
    additive = problem.additive
    assert additive is not None
    weights = weight_sweep(2, 10)
    best = additive.sums(weighted_sum_optima(additive, weights))[0]
    others = problem.evaluate(problem.space.sample(np.random.default_rng(0), 500))[0]
    assert ((best * weights).sum(axis=1)[:, None] <= weights @ others.T + 1e-12).all()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_front_of_rounded_sums_is_that_of_whole_numbers(data: st.DataObject) -> None:
    """Sums of tenths in any order, against the same sums in whole numbers: the same points, the first of each."""
    m = data.draw(st.integers(2, 3))
    tenths = np.array(
        data.draw(st.lists(st.lists(st.integers(-9, 9), min_size=6 * m, max_size=6 * m), min_size=1, max_size=40))
    ).reshape(-1, 6, m)
    rng = np.random.default_rng(0)
    sums = np.array(
        [sum(0.1 * float(number) for number in rng.permutation(column)) for row in tenths for column in row.T]
    )
    found = front_mask(sums.reshape(-1, m))
    whole = tenths.sum(axis=1).astype(np.float64)
    assert len(whole[found]) == len(front_rows(whole))
    assert {tuple(row) for row in whole[found]} == {tuple(whole[row]) for row in front_rows(whole)}


def test_small_numbers_beside_a_huge_one_stay_apart() -> None:
    points = np.array([[1e30, 0.0], [3e-9, 1.0], [2e-9, 2.0], [1e-9, 3.0]])
    assert front_mask(points).tolist() == [True] * 4
    chain = np.column_stack([1.0 + 5e-13 * np.arange(9.0), np.arange(9.0, 0.0, -1.0)])
    assert front_mask(chain).sum() == 3  # 0 .. 2, 3 .. 5 and 6 .. 8 are one each: no chain reaches further
