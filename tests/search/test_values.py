"""The values of all evaluated networks, failed ones among them."""

from dataclasses import replace

import numpy as np

from evo_qnas.archive import FAILED, OK, Evaluations
from evo_qnas.search.values import Values


def rows(excess: list[float], state: list[int]) -> Evaluations:
    n = len(excess)
    made = Evaluations.ok(np.arange(n)[:, None], np.zeros((n, 1)), np.array(excess)[:, None])
    return replace(made, state=np.array(state, dtype=np.uint8))


def test_the_least_violating_row_is_none_that_failed() -> None:
    values = Values(1, 1)
    assert values.least_violating == -1
    values.add(rows([0.0, np.nan], [FAILED, FAILED]))
    assert values.least_violating == -1
    values.add(rows([3.0, 2.0, 4.0], [OK, OK, OK]))
    assert values.least_violating == 3
    values.add(rows([1.0, 1.5], [FAILED, OK]))
    assert values.least_violating == 6
    assert values.of(np.array([0, 6]))[1].tolist() == [np.inf, 1.5]
