"""Fast orders against numpy's slow ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.pareto.order import first_of_each, lexical_order, stable_order

# Few levels make many ties, many of them few: the two ways of putting ties right.
CASES = st.tuples(st.integers(0, 60), st.integers(1, 4), st.sampled_from([1, 3, 50, 10**6]), st.integers(0, 10**6))


@settings(max_examples=100, deadline=None)
@given(CASES)
def test_orders_are_numpy_s(case: tuple[int, int, int, int]) -> None:
    n, m, levels, seed = case
    points = np.random.default_rng(seed).integers(-levels, levels, size=(n, m)) * 0.5
    np.testing.assert_array_equal(lexical_order(points), np.lexsort(points.T[::-1]))
    np.testing.assert_array_equal(stable_order(points[:, 0]), np.argsort(points[:, 0], kind="stable"))
    keys = np.random.default_rng(seed).integers(0, levels, size=n)
    np.testing.assert_array_equal(first_of_each(keys), np.unique(keys, return_index=True)[1])


@pytest.mark.parametrize("ties", [0, 100, 4000])
def test_orders_of_many_are_numpy_s(ties: int) -> None:
    # Vector sorts start where there are more numbers than the small cases have.
    rng = np.random.default_rng(ties)
    points = rng.random((5000, 2))
    points[:ties, 0] = np.round(points[:ties, 0], 2)
    points = rng.permutation(points)
    np.testing.assert_array_equal(stable_order(points[:, 0]), np.argsort(points[:, 0], kind="stable"))
    np.testing.assert_array_equal(lexical_order(points), np.lexsort(points.T[::-1]))
