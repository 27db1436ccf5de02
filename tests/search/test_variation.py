"""Variation: closed forms of the moves, properties of crossover and mutation, recipes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.errors import CardError
from evo_qnas.search import Recipe, Variation, load_recipe
from evo_qnas.search.neighbours import Stack, other_bits, other_operator, stacks
from evo_qnas.spaces import Gene, Space


def gene(labels: list[tuple[int, int, int]], block: int = 0) -> Gene:
    operator, weight, activation = np.array(labels, dtype=np.int64).T
    return Gene(
        blocks=np.array([block]),
        options=np.arange(len(labels))[:, None],
        operator=operator,
        weight_bits=weight,
        activation_bits=activation,
    )


def space(genes: list[Gene]) -> Space:
    return Space(
        blocks=tuple(f"b{i}" for i in range(len(genes))),
        choices=np.array([len(g.options) for g in genes]),
        genes=tuple(genes),
    )


def recipe(**changes: float) -> Recipe:
    rates = {"crossover": 1.0, "uniform": 1.0, "points": 2, "mutated_genes": 1.0, "mating_neighbourhood": 5}
    return Recipe.model_validate(
        {"description": "test", **rates, "whole": 1.0, "operator": 1.0, "bits": 1.0, **changes}
    )


LABELS = [(0, 2, 8), (0, 4, 8), (0, 8, 8), (0, 4, 4), (1, 4, 8), (1, 8, 4), (2, 2, 2)]


def test_bits_move_to_the_next_width_of_the_same_operator() -> None:
    near = other_bits(Stack.of([gene(LABELS)]))[0]
    assert np.flatnonzero(near[0]).tolist() == [1]
    assert np.flatnonzero(near[1]).tolist() == [0, 2, 3]
    assert np.flatnonzero(near[4]).tolist() == [5], "no single step exists: the nearest of the same operator"
    assert not near[6].any(), "the only option of its operator"


def test_operator_moves_keep_the_bits_or_take_the_nearest() -> None:
    near = other_operator(Stack.of([gene(LABELS)]))[0]
    assert np.flatnonzero(near[1]).tolist() == [4]
    assert np.flatnonzero(near[5]).tolist() == [2, 3]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(0, 10**6))
def test_neighbours_of_genes_at_once_are_those_of_each(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    genes = [
        gene([(int(rng.integers(3)), *map(int, rng.choice([2, 4, 8], 2))) for _ in range(count)]) for count in counts
    ]
    at_once = next(stacks(genes))
    for find in (other_operator, other_bits):
        for index, (count, together) in enumerate(zip(counts, find(at_once), strict=True)):
            np.testing.assert_array_equal(together[:count, :count], find(Stack.of([genes[index]]))[0])
            assert not together[:count, count:].any()


def test_only_the_named_kind_of_mutation_happens() -> None:
    both = gene([(o, w, a) for o in range(3) for w in (2, 4, 8) for a in (4, 8)])
    where = space([both])
    start = np.full((500, 1), 8)
    rng = np.random.default_rng(0)
    bits = Variation(where, recipe(whole=0, operator=0)).mutate(rng, start)[:, 0]
    assert (both.operator[bits] == both.operator[8]).all()
    assert set(bits) == {6, 9, 10}
    operator = Variation(where, recipe(whole=0, bits=0)).mutate(rng, start)[:, 0]
    assert set(operator) == {2, 14}
    whole = Variation(where, recipe(operator=0, bits=0)).mutate(rng, start)[:, 0]
    assert set(whole) == set(range(18)) - {8}


def test_rate_of_mutation_is_the_recipe_s() -> None:
    where = Space.from_counts([5] * 40)
    values = np.zeros((2000, 40), dtype=np.int64)
    changed = (Variation(where, recipe(mutated_genes=2.0)).mutate(np.random.default_rng(0), values) != 0).sum()
    # Binomial(80,000, 1/20): mean 4,000, standard deviation 62; five of them.
    assert abs(int(changed) - 4000) < 310


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=8),
    st.integers(0, 2**31),
    st.floats(0, 1),
    st.integers(1, 4),
)
def test_children_are_made_of_their_parents(counts: list[int], seed: int, uniform: float, points: int) -> None:
    rng = np.random.default_rng(seed)
    where = Space.from_counts(counts)
    variation = Variation(where, recipe(uniform=uniform, points=points, mutated_genes=3.0))
    first = rng.integers(0, where.counts, size=(20, len(counts)))
    second = rng.integers(0, where.counts, size=(20, len(counts)))
    kept = first.copy(), second.copy()
    child = variation.cross(rng, first, second)
    assert ((child == first) | (child == second)).all()
    mutant = variation.mutate(rng, child)
    assert ((mutant >= 0) & (mutant < where.counts)).all()
    np.testing.assert_array_equal(first, kept[0])
    np.testing.assert_array_equal(second, kept[1])


def test_point_crossover_cuts_at_most_at_its_points() -> None:
    where = Space.from_counts([2] * 30)
    variation = Variation(where, recipe(uniform=0.0, points=2))
    child = variation.cross(np.random.default_rng(0), np.zeros((300, 30), np.int64), np.ones((300, 30), np.int64))
    cuts = (np.diff(child, axis=1) != 0).sum(axis=1)
    assert cuts.max() == 2
    assert len(np.unique(child.sum(axis=1))) > 10


def test_shipped_recipes_load_and_an_unknown_rate_is_named() -> None:
    for name in ("default", "whole_choice", "textbook"):
        assert load_recipe(name).crossover > 0
    with pytest.raises(CardError, match=r"no card 'defualt'.*nearest are: default"):
        load_recipe("defualt")


def test_a_recipe_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = "x"\ncrossover = 0.9\nmutaton = 1\n')
    with pytest.raises(CardError, match=r"unknown key|is missing"):
        load_recipe(str(path))
