"""Hypervolumes along directions against exact ones."""

from math import factorial

import moocore
import numpy as np
import pytest

from evo_qnas.pareto.polar import Fan, is_exact, volume


def sphere(n: int, m: int, seed: int) -> np.ndarray:
    """A front on a quarter of a sphere around the reference point 1."""
    normal = np.abs(np.random.default_rng(seed).normal(size=(n, m)))
    points: np.ndarray = 1.0 - normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return points


@pytest.mark.parametrize(("m", "n"), [(2, 60), (3, 200), (4, 400), (5, 80), (6, 40)])
def test_estimates_are_within_their_error(m: int, n: int) -> None:
    points, fan = sphere(n, m, seed=m), Fan.of(m)
    estimate, error = fan.volume(fan.reach(points, np.ones(m)))
    exact = moocore.hypervolume(points, ref=np.ones(m))
    # Twice the 95 % half width: beyond it once in 16,000 groups of directions; the directions are always the same ones.
    assert abs(estimate - exact) < 2.0 * error
    assert 0.0 < error < 0.02 * exact + 0.001


def test_a_plane_through_the_cube() -> None:
    fan = Fan.of(4)
    reached = fan.reach_of_planes(np.ones((1, 4)), np.array([3.0]))
    # The corner above x + y + z + u = 3 is a simplex of side 1, met alike along all directions.
    assert fan.volume(reached) == pytest.approx((1.0 / factorial(4), 0.0), abs=1e-12)
    assert fan.share(reached, reached) == (1.0, 0.0)


def test_points_reach_no_farther_together_than_one_of_them_and_beyond_the_reference_not_at_all() -> None:
    fan, points = Fan.of(3), sphere(30, 3, seed=1)
    single = [fan.reach(point[None], np.ones(3)) for point in points]
    np.testing.assert_array_equal(fan.reach(points, np.ones(3)), np.max(single, axis=0))
    np.testing.assert_array_equal(
        fan.reach(points[15:], np.ones(3), np.max(single[:15], axis=0)), np.max(single, axis=0)
    )
    assert not fan.reach(points + 1.0, np.ones(3)).any()


def test_few_points_are_exact_and_many_estimated() -> None:
    points = sphere(100, 5, seed=2)
    assert volume(points, np.ones(5)) == (moocore.hypervolume(points, ref=np.ones(5)), 0.0)
    assert not is_exact(300, 5)
    more = np.concatenate([points, *(points + shift for shift in (0.01, 0.02, 0.03))])
    estimate, error = volume(more, np.ones(5))
    assert error > 0.0
    assert abs(estimate - moocore.hypervolume(points, ref=np.ones(5))) < 2.0 * error, "the others are dominated"
