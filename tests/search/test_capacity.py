"""How many networks NSGA-II keeps: growth in calm, shrinkage under turnover, and the bounds of both."""

import numpy as np
import pytest

from evo_qnas.search.capacity import Capacity

POPULATION = 10


def first(old: int, beaten: int, children: int, new: int) -> np.ndarray:
    """The first rank of an old front of which some were beaten, and of children of which some join it."""
    mask = np.zeros(old + children, dtype=bool)
    mask[beaten:old] = True
    mask[old : old + new] = True
    return mask


def generation(capacity: Capacity, *, beaten: int, old: int = 40, children: int = 10, front: int = 10**6) -> int:
    """One more generation, with as many children on the front as there is room for."""
    mask = first(old, beaten, children, children)
    size = capacity.size(mask, np.ones(old, dtype=bool))
    assert size <= front
    return size


def begun(front: int = 40) -> Capacity:
    capacity = Capacity(POPULATION)
    assert capacity.value == POPULATION
    assert capacity.size(np.ones(front, dtype=bool), np.zeros(0, dtype=bool)) == max(front, POPULATION)
    return capacity


def test_the_first_generation_is_kept_up_to_fifty_populations() -> None:
    assert begun(3).value == POPULATION
    assert begun(40).value == 40
    capacity = Capacity(POPULATION)
    assert capacity.size(np.ones(501, dtype=bool), np.zeros(0, dtype=bool)) == 500
    assert capacity.value == 500


def test_a_calm_front_grows_by_three_tenths_a_generation_up_to_fifty_populations() -> None:
    capacity = begun()
    for power in range(1, 9):
        generation(capacity, beaten=0)
        assert capacity.value == pytest.approx(40 * 1.3**power)
    for _ in range(10):
        generation(capacity, beaten=0)
    assert capacity.value == 500


def test_a_beaten_front_shrinks_to_one_population_and_no_further() -> None:
    capacity = begun()
    for power in range(1, 6):
        size = generation(capacity, beaten=8)
        assert capacity.value == pytest.approx(40 / 1.3**power)
        assert size == int(capacity.value) < 40, "the front no longer fits"
    for _ in range(3):
        size = generation(capacity, beaten=8)
    assert capacity.value == size == POPULATION


def test_the_turnover_is_the_beaten_share_for_each_population_of_children() -> None:
    """1 of 40 beaten by 10 children of a population of 10 is 0.025, calm; by 5 children it is 0.05; 2 are too many."""
    for beaten, children, grows in ((1, 10, True), (1, 5, False), (2, 10, False), (2, 20, True)):
        capacity = begun()
        generation(capacity, beaten=beaten, children=children)
        assert (capacity.value > 40) == grows, (beaten, children)


def test_only_the_old_first_rank_counts_for_the_turnover() -> None:
    capacity = begun(40)
    before = np.zeros(40, dtype=bool)
    before[20:] = True
    capacity.size(first(40, beaten=20, children=10, new=0), before)
    assert capacity.value > 40, "none of the 20 on the old front were beaten"


def test_the_turnover_remembers_earlier_generations() -> None:
    """After 0.2 it is 0.16, 0.128, ... in calm generations: the ninth is the first below 0.03 (0.2 x 0.8^9 = 0.027)."""
    capacity = begun(400)
    generation(capacity, beaten=8)
    values = [capacity.value]
    for _ in range(9):
        generation(capacity, beaten=0)
        values.append(capacity.value)
    assert (np.diff(values[:-1]) < 0).all()
    assert values[-1] > values[-2]


def test_at_least_one_population_is_kept_and_no_more_than_the_front_needs() -> None:
    capacity = begun()
    mask = first(40, beaten=0, children=10, new=0)
    mask[15:40] = False
    before = np.zeros(40, dtype=bool)
    before[:15] = True
    assert capacity.size(mask, before) == 15, "the front of 15 fits into the capacity of 52"
    mask[3:] = False
    before[3:] = False
    assert capacity.size(mask, before) == POPULATION
