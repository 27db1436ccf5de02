"""The gate of the linear model: what opens it, what closes it, and what a search does meanwhile."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.archive import Archive
from evo_qnas.problem import LookupProblem
from evo_qnas.search import search
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.context import SearchContext
from evo_qnas.search.model_gate import ModelGate, explained
from evo_qnas.search.nsga2 import NSGA2

POPULATION = 20
GENOMES = np.array(list(product(range(4), repeat=6)), dtype=np.int64)


class WithoutModel(Algorithm):
    """`nsga2` that learns nothing."""

    about = "nsga2 without its linear model"
    label = "nsga2"

    def make(self, context: SearchContext) -> NSGA2:
        return NSGA2(
            context.variation,
            population=context.population,
            rng=context.rng,
            seeds=context.seeds(),
            learn=False,
            visited=context.visited,
        )


def problem(*, sums: bool) -> LookupProblem:
    """4,096 networks as a black box: two sums over six genes, or two numbers that nothing predicts."""
    rng = np.random.default_rng(1)
    if sums:
        values = sum(rng.normal(size=(4, 2))[GENOMES[:, gene]] for gene in range(6))
    else:
        values = rng.normal(size=(len(GENOMES), 2))
    return LookupProblem(GENOMES, {"first": values[:, 0], "second": values[:, 1]})


def run(made: LookupProblem, algorithm: str | Algorithm = "nsga2", path: Path | None = None, **changes: int) -> Archive:
    settings = {"evaluations": 500, "population": POPULATION, "seed": 4, **changes}
    return search(made, algorithm=algorithm, path=path, progress=False, **settings)


def test_explained_variance_by_hand() -> None:
    objectives = np.array([[0.0, 5.0, 5.0], [2.0, 5.0, 5.0], [4.0, 5.0, 5.0]])
    predicted = np.array([[1.0, 5.0, 5.0], [2.0, 5.0, 6.0], [4.0, 5.0, 5.0]])
    assert explained(predicted, objectives).tolist() == [1.0 - 1.0 / 8.0, 1.0, 0.0]
    assert explained(objectives + 100.0, objectives)[0] == 0.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 2.0))
def test_explained_variance_is_that_of_each_column(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    objectives = rng.normal(size=(15, 2))
    predicted = objectives + noise * rng.normal(size=(15, 2))
    for index, share in enumerate(explained(predicted, objectives).tolist()):
        residual = predicted[:, index] - objectives[:, index]
        assert share == pytest.approx(max(0.0, 1.0 - (residual**2).mean() / objectives[:, index].var()), abs=1e-12)


def test_open_after_ten_populations_with_a_fit() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2))
    gate = ModelGate(POPULATION)
    assert not gate.is_open(10**6)
    gate.judge(rows, rows)
    assert not gate.is_open(10 * POPULATION - 1)
    assert gate.is_open(10 * POPULATION)


def test_the_worst_objective_closes_the_gate() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20, 2))
    half = np.column_stack([rows[:, 0], rng.normal(size=20)])
    gate = ModelGate(POPULATION)
    for _ in range(4):
        gate.judge(rows, rows)
    gate.judge(half, rows)
    assert gate.fit == pytest.approx(0.7 + 0.3 * explained(half, rows)[1])
    gate.judge(half, rows)
    assert not gate.is_open(10**6)
    for _ in range(5):
        gate.judge(rows, rows)
    assert gate.is_open(10**6)


def test_failed_and_few_rows_say_nothing() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2))
    gate = ModelGate(POPULATION)
    gate.judge(rows[:9], rows[:9])
    broken = rows.copy()
    broken[:11, 0] = np.inf
    gate.judge(rows, broken)
    assert gate.fit is None
    broken[10, 0] = rows[10, 0]
    gate.judge(rows, broken)
    assert gate.fit == 1.0


def test_no_model_child_where_nothing_can_be_predicted() -> None:
    """The course is that of the search without a model, draw by draw."""
    made = problem(sums=False)
    np.testing.assert_array_equal(run(made).evaluations.genomes, run(made, WithoutModel()).evaluations.genomes)


def test_model_children_of_sums_come_after_ten_populations() -> None:
    made = problem(sums=True)
    with_model, without = run(made).evaluations.genomes, run(made, WithoutModel()).evaluations.genomes
    differ = np.flatnonzero((with_model != without).any(axis=1))
    assert differ[0] >= 10 * POPULATION
    assert differ[0] < 11 * POPULATION


def test_the_course_is_the_same_when_resumed_across_the_opening(tmp_path: Path) -> None:
    made = problem(sums=True)
    run(made, path=tmp_path / "a.h5", evaluations=190)
    resumed = run(made, path=tmp_path / "a.h5", evaluations=300)
    np.testing.assert_array_equal(resumed.evaluations.genomes, run(made, evaluations=300).evaluations.genomes)
