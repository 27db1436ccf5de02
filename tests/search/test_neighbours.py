"""Distances between options: narrow integers where they hold them."""

import numpy as np
import pytest

from evo_qnas.search.neighbours import _steps


@pytest.mark.parametrize(("most", "kind"), [(8, np.int16), (8191, np.int16), (8192, np.int64), (40_000, np.int64)])
def test_steps_are_right_for_numbers_of_any_size(most: int, kind: type) -> None:
    steps = _steps(np.array([[0, most, -most]]))
    assert steps.dtype == kind
    assert steps.tolist() == [[[0, most, -most], [-most, 0, -2 * most], [most, 2 * most, 0]]]
