"""The profile against every network of a small space, and in time on real tables."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.pareto.profile import profile
from evo_qnas.problem import ConstraintInfo, Networks, ObjectiveInfo, Problem, TableProblem, objective
from evo_qnas.spaces import Space
from evo_qnas.tables import Tables
from evo_qnas.tables.importers import import_tables
from tests.problem.made import made_tables


def every(problem: TableProblem) -> np.ndarray:
    """All genomes of a small space."""
    return problem.space.decode(np.array(list(product(*(range(count) for count in problem.space.counts)))))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), bounds=st.tuples(st.integers(-9, 9), st.integers(-9, 9)), tie=st.booleans())
def test_additive_answers_equal_brute_force(seed: int, bounds: tuple[int, int], tie: bool) -> None:
    tables = made_tables(seed, fixed=0.5)
    limits = [f"cost <= {bounds[0]}", f"score >= {bounds[1]}"]
    problem = TableProblem(tables, ["score"], limits, ties=[["b0", "b2"]] if tie else [])
    found, genomes = profile(problem, samples=50), every(problem)
    assert found.networks == len(genomes)
    for column in found.columns:
        totals = tables.total(column.name, genomes)
        assert (column.low, column.high) == (pytest.approx(totals.min()), pytest.approx(totals.max()))
        assert column.low <= column.median <= column.high
    cost, score = tables.total("cost", genomes), tables.total("score", genomes)
    assert [limit.reachable for limit in found.limits] == [pytest.approx(cost.min()), pytest.approx(score.max())]
    met = np.stack([cost <= bounds[0], score >= bounds[1]])
    assert [limit.alone for limit in found.limits] == met.any(axis=1).tolist()
    assert found.together == met.all(axis=0).any()
    assert bool(found.reason) != found.together


def test_medians_come_from_the_seeded_draw() -> None:
    problem = TableProblem(made_tables(2), ["score"])
    drawn = problem.space.sample(np.random.default_rng(5), 31)
    wanted = float(np.median(problem.tables.total("cost", drawn)))
    found = profile(problem, samples=31, seed=5)
    assert {column.name: column.median for column in found.columns}["cost"] == wanted
    assert "31 networks drawn uniformly, seed 5" in found.text()


def test_limits_that_are_no_sum_are_tried_on_the_draw() -> None:
    tables = made_tables(3)
    problem = TableProblem(tables, ["score"], ["max:cost <= 99", "distinct(operator) <= 0"])
    found = profile(problem)
    assert [(limit.alone, limit.reachable, limit.share) for limit in found.limits] == [
        (True, None, 1.0),
        (None, None, 0.0),
    ]
    assert found.together is None


def test_slow_functions_are_not_called() -> None:
    def never(networks: Networks) -> float:
        raise AssertionError("called")

    found = profile(TableProblem(made_tables(), ["score"], [objective(per_network=True)(never), "cost <= 100"]))
    assert [(limit.alone, limit.share) for limit in found.limits] == [(None, None), (True, None)]


def test_nan_choices_are_left_out_of_spans() -> None:
    tables = Tables.from_arrays({"score": [np.array([1.0, np.nan, 3.0])] * 2}, fixed={"score": 10.0})
    (column,) = profile(tables).columns
    assert (column.low, column.high) == (12.0, 16.0)
    assert 12.0 <= column.median <= 16.0


def test_huge_spaces_are_counted_and_written_short() -> None:
    found = profile(Tables.from_arrays({"score": [np.arange(100.0)] * 50}), samples=10)
    assert found.networks == 100**50
    assert found.text().startswith("1.00e100 networks: 50 blocks, 50 decisions of 100 options")


def test_baselines_are_shown() -> None:
    tables = made_tables(2).with_baselines({"teacher_int8": [0, 0, 0]})
    found = profile(tables)
    assert found.columns[0].baselines == {"teacher_int8": tables.total("score", np.array([[0, 0, 0]]))[0]}
    assert "teacher_int8" in found.text()


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("hawqv3_resnet18.json", 2**16),
        ("haq_mobilenetv2_latency.npz", 64**53),
        ("apq_bitfusion_lut.npz", 120 * 168**4 * 264**4 * 504**4 * 600**4 * 1176**4),
        ("nas_bench_macro_cifar10.npz", 3**8),
    ],
)
def test_real_tables(real_data: Path, name: str, networks: int) -> None:
    tables = import_tables(real_data / name)
    found = profile(tables)
    assert found.networks == networks
    columns: Any = {column.name: column for column in found.columns}
    first = next(iter(columns))
    limit = f"{first} <= {columns[first].low - 1.0}"
    refused = profile(TableProblem(tables, [first], [limit]))
    assert refused.limits[0].reachable == pytest.approx(columns[first].low)
    assert f"{limit.split(' <= ', maxsplit=1)[0]} <= " in refused.reason
    assert "cannot be met: the smallest reachable is" in refused.reason


def test_ranges_that_are_of_the_networks_drawn_alone_say_so() -> None:
    """A problem without sums knows no smallest value: the text says that its ends are those of the draw."""
    sampled = "min and max are those of the networks drawn"
    tables = TableProblem(made_tables(2), ["score"])
    assert sampled not in profile(tables, samples=20).text()

    class Unknown(Problem):
        @property
        def space(self) -> Space:
            return tables.space

        @property
        def objectives(self) -> tuple[ObjectiveInfo, ...]:
            return (ObjectiveInfo(name="length"),)

        @property
        def constraints(self) -> tuple[ConstraintInfo, ...]:
            return ()

        @property
        def additive(self) -> None:
            return None

        @property
        def fingerprint(self) -> str:
            return "length"

        def evaluate(self, genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return genomes.sum(axis=1, keepdims=True).astype(np.float64), np.empty((len(genomes), 0))

    found = profile(Unknown(), samples=20)
    assert found.text().splitlines()[-1] == sampled
    drawn = tables.space.sample(np.random.default_rng(0), 20).sum(axis=1)
    assert (found.columns[0].low, found.columns[0].high) == (drawn.min(), drawn.max())
