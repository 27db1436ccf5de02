"""Parents: who wins tournaments, and how near partners are."""

import numpy as np

from evo_qnas.search.mating import MatingPool


def line(n: int) -> MatingPool:
    """A front on a falling line."""
    places = np.linspace(0.0, 1.0, n)
    return MatingPool(
        ranks=np.zeros(n, dtype=np.int64), crowding=np.zeros(n), scaled=np.stack([places, 1.0 - places], axis=1)
    )


def test_better_ranks_and_then_emptier_places_win() -> None:
    ranks = np.array([0, 0, 1, 2])
    crowding = np.array([1.0, 2.0, np.inf, np.inf])
    pool = MatingPool(ranks=ranks, crowding=crowding, scaled=np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
    counts = np.bincount(pool.tournaments(np.random.default_rng(0), 40_000), minlength=4) / 40_000
    # Of 16 equally likely pairs member 1 wins 7, member 0 5, member 2 3 and member 3 1; 3 % each go to both ends.
    expected = 0.94 * np.array([5, 7, 3, 1]) / 16 + np.array([0.03, 0.03, 0, 0])
    # Four standard errors of a share of 40,000 draws are 0.01 at most.
    np.testing.assert_allclose(counts, expected, atol=0.01)


def test_the_best_of_each_objective_are_always_parents() -> None:
    winners = line(101).tournaments(np.random.default_rng(1), 100)
    assert winners[:6].tolist() == [0, 0, 0, 100, 100, 100], "3 % for each of two objectives"


def test_partners_are_near_and_never_the_parent_itself() -> None:
    n = 400
    first, second = line(n).pairs(np.random.default_rng(2), 3000, neighbourhood=20)
    assert (first != second).all()
    # Half of all times the nearest of 20 random members is among the 13.6 nearest of 399 ((1 - 13.6 / 399)^20 = 0.5),
    # which stand 7 places away at most, 14 for parents at the ends.
    assert 6 <= np.median(np.abs(first - second)) <= 9
    first, second = line(n).pairs(np.random.default_rng(2), 3000, neighbourhood=0)
    assert np.median(np.abs(first - second)) > 80, "any two winners"


def test_two_members_pair_by_tournament() -> None:
    first, second = line(2).pairs(np.random.default_rng(3), 5, neighbourhood=5)
    assert len(first) == len(second) == 5
