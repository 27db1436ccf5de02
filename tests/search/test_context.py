"""The parts that a search offers to its algorithm: the searched space, seeds, and that nothing is made in vain."""

from typing import Any

import numpy as np
import pytest

from evo_qnas.problem import Networks, TableProblem, objective
from evo_qnas.search import SearchContext, context, load_recipe, search
from evo_qnas.search.algorithms import algorithm_of
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(12, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))
POPULATION = 5


@objective(name="pairs")
def pairs(networks: Networks) -> np.ndarray:
    return networks.column("score").sum(axis=1) * networks.column("size_bytes").sum(axis=1)


def made(*objectives: Any, **changes: Any) -> SearchContext:
    settings: dict[str, Any] = {"population": POPULATION, "seed": 3, "seeding": True, "reduce": True, **changes}
    problem = TableProblem(TABLES, objectives=list(objectives))
    return SearchContext(problem=problem, recipe=load_recipe("default"), **settings)


def test_the_space_is_reduced_where_all_is_additive_and_it_is_asked_for() -> None:
    reduced = made("score", "size_bytes")
    assert (reduced.space.counts <= reduced.problem.space.counts).all()
    assert reduced.space.size < reduced.problem.space.size
    assert made("score", "size_bytes", reduce=False).space is not reduced.space
    assert made("score", "size_bytes", reduce=False).space.size == reduced.problem.space.size
    assert made(pairs, "size_bytes").space.size == reduced.problem.space.size
    assert reduced.visited.space is reduced.space is reduced.variation.space
    assert len(reduced.visited) == 0


def test_options_that_others_beat_in_all_sums_are_counted() -> None:
    """The third option of each of four blocks costs more in both objectives than the second."""
    columns = {"score": [np.array([2.0, 1.0, 1.5])] * 4, "size_bytes": [np.array([1.0, 2.0, 3.0])] * 4}
    settings: dict[str, Any] = {"recipe": load_recipe("default"), "population": POPULATION, "seed": 0, "seeding": True}
    problem = TableProblem(Tables.from_arrays(columns), objectives=["score", "size_bytes"])
    left_out = [SearchContext(problem=problem, reduce=reduce, **settings).options_left_out for reduce in (True, False)]
    assert left_out == [4, 0]


def test_seeds_are_gene_values_of_the_searched_space() -> None:
    for reduce in (True, False):
        mine = made("score", "size_bytes", reduce=reduce)
        seeds = mine.seeds()
        assert seeds.dtype == mine.space.narrow
        assert (seeds < mine.space.counts).all()
    none = made("score", "size_bytes", seeding=False).seeds()
    assert none.shape == (0, 12)


def test_the_number_of_seeds_follows_the_population() -> None:
    """20 for each member where all is additive, 4 elsewhere, or as many as an algorithm asks for."""
    assert len(made("score", "size_bytes", population=2).seeds()) == 40
    assert len(made(pairs, "size_bytes", population=2).seeds()) == 8
    assert len(made("score", "size_bytes", population=2).seeds(per_member=3)) == 6


@pytest.mark.parametrize(("algorithm", "most"), [("nsga2", 180), ("random", 20), ("local", 20)])
def test_nsga2_takes_more_seeds_of_three_additive_objectives(algorithm: str, most: int) -> None:
    mine = made("score", "size_bytes", "latency_ms")
    assert len(algorithm_of(algorithm).make(mine).ask()) == most * POPULATION


def test_equal_seeds_give_equal_generators_and_one_for_all_draws() -> None:
    one, other = made("score"), made("score")
    assert one.rng is one.rng
    assert one.rng.random() == other.rng.random()
    assert made("score", seed=4).rng.random() != made("score").rng.random()


def test_nothing_is_made_that_an_algorithm_does_not_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("not asked for")

    monkeypatch.setattr(context, "seed_genes", never)
    monkeypatch.setattr(context, "Variation", never)
    problem = TableProblem(TABLES, objectives=["score", "size_bytes"])
    assert len(search(problem, algorithm="exact", evaluations=1))
    assert len(search(problem, algorithm="random", evaluations=30, population=POPULATION, seeding=False)) == 30
    monkeypatch.setattr(context, "useful_options", never)
    assert len(search(problem, algorithm="exact", evaluations=1))
    with pytest.raises(AssertionError, match=r"not asked for"):
        search(problem, algorithm="random", evaluations=30, population=POPULATION)
