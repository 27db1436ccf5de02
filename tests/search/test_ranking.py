"""Ranks and crowding against a few obvious lines; what is no number never comes first."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evo_qnas.search.ranking import constrained_ranks, crowding, first_rank


def slow_ranks(points: np.ndarray) -> list[int]:
    left, rank, ranks = set(range(len(points))), 0, [0] * len(points)
    while left:
        best = [
            i for i in left if not any((points[j] <= points[i]).all() and (points[j] < points[i]).any() for j in left)
        ]
        for i in best:
            ranks[i] = rank
        left -= set(best)
        rank += 1
    return ranks


POINTS = hnp.arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=st.integers(0, 5))


@settings(max_examples=40, deadline=None)
@given(POINTS)
def test_feasible_ranks_equal_the_slow_ones(points: np.ndarray) -> None:
    assert constrained_ranks(points, np.zeros(len(points))).tolist() == slow_ranks(points)


@settings(max_examples=40, deadline=None)
@given(POINTS, st.data())
def test_feasible_before_violating_before_failed(points: np.ndarray, data: st.DataObject) -> None:
    n = len(points)
    violation = data.draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.0, 0.0, 1.0, 2.0])))
    broken = data.draw(hnp.arrays(np.bool_, n))
    values = np.where(broken[:, None], data.draw(st.sampled_from([np.nan, np.inf, -np.inf])), points)
    ranks = constrained_ranks(values, violation)
    assert first_rank(values, violation).tolist() == (ranks == 0).tolist()
    fine = ~broken & (violation <= 0)
    wrong = ~broken & (violation > 0)
    if fine.any():
        assert ranks[fine].tolist() == slow_ranks(points[fine])
        assert ranks[~fine].min(initial=n + 1) > ranks[fine].max()
    if wrong.any() and broken.any():
        assert ranks[broken].min() > ranks[wrong].max()
    for one in np.flatnonzero(wrong):
        assert (ranks[wrong & (violation > violation[one])] > ranks[one]).all()


def test_crowding_by_hand() -> None:
    points = np.array([[0.0, 4.0], [1.0, 2.0], [4.0, 0.0], [9.0, 9.0]])
    distance = crowding(points, np.array([0, 0, 0, 1]))
    assert distance[1] == (4 - 0) / 4 + (4 - 0) / 4
    assert np.isinf(distance[[0, 2, 3]]).all()


@settings(max_examples=30, deadline=None)
@given(POINTS)
def test_crowding_of_ranks_at_once_equals_one_rank_at_a_time(points: np.ndarray) -> None:
    ranks = constrained_ranks(points, np.zeros(len(points)))
    together = crowding(points, ranks)
    for rank in np.unique(ranks):
        alone = crowding(points[ranks == rank], np.zeros(int((ranks == rank).sum()), dtype=np.int64))
        np.testing.assert_allclose(together[ranks == rank], alone)
