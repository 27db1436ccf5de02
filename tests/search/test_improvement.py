"""Expected hypervolume improvement: against hypervolumes counted anew, and against a batch chosen the slow way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.pareto import hypervolume, nondominated
from evo_qnas.search.improvement import Places, Staircase, best_batch, expected_gains, promising


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 4), n=st.integers(0, 12))
def test_gain_is_the_difference_of_hypervolumes(seed: int, m: int, n: int) -> None:
    """Points and front on a coarse grid, so that many coordinates are equal; some lie beyond the reference."""
    rng = np.random.default_rng(seed)
    front = rng.integers(0, 6, (n, m)).astype(float)
    points = rng.integers(-1, 8, (15, m)).astype(float)
    reference = np.full(m, 6.0)
    gains = Staircase(front, reference).gains(points)
    before = hypervolume(front, reference)
    wanted = [hypervolume(np.concatenate([front, point[None]]), reference) - before for point in points]
    np.testing.assert_allclose(gains, wanted, atol=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 3))
def test_places_keep_every_order(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((30, m)) ** 3
    front = points[nondominated(points)]
    placed = Places.along(front)(points)
    inside = (points >= front.min(axis=0)).all(axis=1) & (points <= front.max(axis=0)).all(axis=1)
    for column in range(m):
        order = np.argsort(points[inside, column])
        assert (np.diff(placed[inside][order, column]) >= 0).all()
    best = np.flatnonzero(nondominated(points))
    assert set(best) <= set(np.flatnonzero(nondominated(placed)))


@pytest.mark.parametrize("m", [2, 3])
def test_batch_is_the_greedy_one(m: int) -> None:
    """Slow reference: every candidate looked at again for every place of the batch."""
    rng = np.random.default_rng(m)
    front = rng.random((8, m))
    front = front[nondominated(front)]
    draws = 0.3 * rng.standard_normal((6, 20, m)) + rng.random((20, m))
    chance = rng.random(20)
    places = Places.along(front)
    fronts = [places(front)] * 6
    wanted: list[int] = []
    for _ in range(5):
        gains = np.full(20, -1.0)
        for candidate in set(range(20)) - set(wanted):
            each = [
                Staircase(one, places.reference).gains(places(draws[row, [candidate]]))[0]
                for row, one in enumerate(fronts)
            ]
            gains[candidate] = np.mean(each) * chance[candidate]
        wanted.append(int(gains.argmax()))
        fronts = [np.concatenate([one, places(draws[row, [wanted[-1]]])]) for row, one in enumerate(fronts)]
    assert best_batch(front, draws, chance, 5).tolist() == wanted


def test_copies_are_not_chosen_twice_and_hopeless_ones_not_at_all() -> None:
    front = np.array([[0.0, 3.0], [1.0, 2.0], [3.0, 0.0]])
    good, other, bad = [0.5, 1.0], [2.0, 0.5], [4.0, 4.0]
    draws = np.tile(np.array([good, good, other, bad]), (3, 1, 1))
    assert best_batch(front, draws, np.ones(4), 4).tolist() == [0, 2]
    assert best_batch(front, draws, np.array([0.0, 1.0, 1.0, 1.0]), 1).tolist() == [1]
    assert (expected_gains(front, draws, np.ones(4))[[0, 1, 3]] > 0).tolist() == [True, True, False]


def test_without_a_front_the_candidates_are_held_against_each_other() -> None:
    draws = np.array([[[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]])
    assert set(best_batch(np.empty((0, 2)), draws, np.ones(3), 2).tolist()) == {0, 1}


def test_promising_is_zero_for_what_the_front_dominates() -> None:
    rng = np.random.default_rng(3)
    front = rng.random((12, 3))
    front = front[nondominated(front)]
    points = rng.random((40, 3))
    found = promising(front, points[None], np.ones(40))
    beaten = np.array([(front <= point).all(axis=1).any() for point in points])
    np.testing.assert_array_equal(found > 0, ~beaten)
    np.testing.assert_array_equal(promising(front, points[None], np.full(40, 0.5)), 0.5 * found)
