"""Where the merging of fronts gives up, point for point."""

from collections.abc import Iterator

import numpy as np
import pytest

from evo_qnas.pareto import merging
from evo_qnas.pareto.merging import CapacityExceeded, NoFeasible

MOST = 5


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_CHUNK", 0)


def chunk(front: int, dominated: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points on a falling line, and some above it."""
    line = np.stack([np.arange(front), front - 1.0 - np.arange(front)])
    points = np.concatenate([line, np.full((2, dominated), 100.0)], axis=1)
    return points, start + np.arange(front + dominated)


def chunks(front: int, dominated: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One chunk of `front` minima, then a single point that beats them all."""
    yield chunk(front, dominated)
    yield np.full((2, 1), -1.0), np.array([1000])


def test_twice_the_points_are_held_on_the_way() -> None:
    """2 x most minima may wait for better ones: what counts is the front in the end."""
    values, rows = merging._collected(chunks(2 * MOST, 2 * MOST + 1), MOST)
    assert values.tolist() == [[-1.0], [-1.0]]
    assert rows.tolist() == [1000]


def test_one_more_than_twice_the_points_is_too_many_on_the_way() -> None:
    with pytest.raises(CapacityExceeded, match=r"^$"):
        merging._collected(chunks(2 * MOST + 1, 2 * MOST), MOST)


def test_chunks_are_reduced_only_beyond_four_times_the_points() -> None:
    """4 x most points wait: more than 2 x most minima among them are no reason to give up yet."""
    _, rows = merging._collected(chunks(2 * MOST + 1, 2 * MOST - 1), MOST)
    assert rows.tolist() == [1000]


@pytest.mark.parametrize("front", [MOST, MOST + 1])
def test_a_front_of_the_allowed_size_is_given(front: int) -> None:
    if front > MOST:
        with pytest.raises(CapacityExceeded, match=r"^$"):
            merging._collected([chunk(front, 1)], MOST)
    else:
        assert merging._collected([chunk(front, 1)], MOST)[1].tolist() == list(range(MOST))


def test_no_point_at_all_is_said() -> None:
    with pytest.raises(NoFeasible, match=r"^$"):
        merging._collected([chunk(0, 0)], MOST)
