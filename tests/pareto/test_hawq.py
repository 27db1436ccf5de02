"""Exact answers on the published HAWQ-V3 ResNet-18 table: 16 decisions, 65,536 networks."""

import json
from itertools import product
from pathlib import Path

import moocore
import numpy as np
import pytest

from evo_qnas.pareto import certificate, exact_front, hypervolume, nondominated, smallest_reachable
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.tables import Block, Tables
from tests.pareto.slow import all_genomes


@pytest.fixture(scope="module")
def tables(real_data: Path) -> Tables:
    raw = json.loads((real_data / "hawqv3_resnet18.json").read_text(encoding="utf-8"))
    table = {name: np.array(values) for name, values in raw["table"].items()}
    pairs = {
        "score": [table["Hutchinson_trace"] * table[f"delta_weights_{bits}bit_square"] for bits in (4, 8)],
        "size_mb": [table["parameters"] * bits / 8 / 1024**2 for bits in (4, 8)],
        "gbops": [table["bops"] / 1e6 / 64, table["bops"] / 1e6 / 16],
        "latency_ms": [table["latency_int4"], table["latency_int8"]],
    }
    bits = np.array([4, 8])
    blocks = [
        Block(name=name, operators=("teacher", "teacher"), weight_bits=bits, activation_bits=bits)
        for name in raw["layer_names"]
    ]
    return Tables.from_arrays(
        {name: list(np.stack(pair, axis=1)) for name, pair in pairs.items()},
        blocks=blocks,
        ties=[[raw["layer_names"][index] for index in tie] for tie in raw["ties"]],
    )


FRONTS = [
    (["score", "size_mb"], 29, 0.924124),
    (["score", "gbops"], 24, 0.751121),
    (["score", "latency_ms"], 41, 0.762303),
    (["score", "size_mb", "latency_ms"], 90, 0.738659),
    (["score", "size_mb", "gbops", "latency_ms"], 91, 0.616820),
]


@pytest.mark.parametrize(("names", "points", "volume"), FRONTS)
def test_fronts_are_the_published_ones_and_brute_force(
    tables: Tables, names: list[str], points: int, volume: float
) -> None:
    problem = TableProblem(tables, objectives=names)
    assert problem.space.size == 65_536
    front = exact_front(problem)
    assert front.exact
    assert len(front.objectives) == points
    # Golden: computed by others with plain enumeration, see the data's README.
    scaled = (front.objectives - front.objectives.min(axis=0)) / np.ptp(front.objectives, axis=0)
    assert hypervolume(scaled, np.ones(len(names))) == pytest.approx(volume, abs=5e-7)
    everything = problem.evaluate(all_genomes(problem))[0]
    # Equal decimals differ in the last digit of their float sums: unrounded, these would be 36 and 110 points.
    true = moocore.filter_dominated(np.round(everything, 9))
    found = np.round(front.objectives, 9)
    assert np.array_equal(found[np.lexsort(found.T[::-1])], true[np.lexsort(true.T[::-1])])
    proof = certificate(problem, front.objectives)
    assert (proof.share, proof.method, proof.points) == (1.0, "exact", points)


# Limits at 25, 50 and 75 % of the span from all layers at 4 to all at 8 bits; the optima are the published ones.
OPTIMA = [
    ("size_mb", 0.25, 0.118300),
    ("size_mb", 0.50, 0.074506),
    ("size_mb", 0.75, 0.033441),
    ("gbops", 0.25, 0.460424),
    ("gbops", 0.50, 0.215689),
    ("gbops", 0.75, 0.079965),
    ("latency_ms", 0.25, 0.460424),
    ("latency_ms", 0.50, 0.202674),
    ("latency_ms", 0.75, 0.079965),
]


@pytest.mark.parametrize(("name", "share", "score"), OPTIMA)
def test_single_limit_optima_are_the_published_ones(tables: Tables, name: str, share: float, score: float) -> None:
    ends = tables.total(name, np.array([[0] * 19, [1] * 19]))
    limit = f"{name} <= {ends[0] + share * (ends[1] - ends[0]):.15g}"
    problem = TableProblem(tables, objectives=["score"], constraints=[limit])
    front = exact_front(problem)
    assert front.objectives[0, 0] == pytest.approx(score, abs=5e-7)
    objectives, excess = problem.evaluate(all_genomes(problem))
    assert front.objectives[0, 0] == objectives[(excess <= 0.0).all(axis=1)].min()


@pytest.mark.parametrize("shares", list(product((0.25, 0.6), repeat=3))[:4])
def test_several_limits_at_once_are_brute_force(tables: Tables, shares: tuple[float, ...]) -> None:
    limits = []
    for name, share in zip(("size_mb", "gbops", "latency_ms"), shares, strict=True):
        ends = tables.total(name, np.array([[0] * 19, [1] * 19]))
        limits.append(f"{name} <= {ends[0] + share * (ends[1] - ends[0]):.15g}")
    for names in (["score"], ["score", "latency_ms"]):
        problem = TableProblem(tables, objectives=names, constraints=limits)
        objectives, excess = problem.evaluate(all_genomes(problem))
        true = moocore.filter_dominated(objectives[(excess <= 0.0).all(axis=1)])
        assert np.array_equal(exact_front(problem).objectives, true[np.lexsort(true.T[::-1])])


def test_the_smallest_size_is_all_at_four_bits(tables: Tables) -> None:
    problem = TableProblem(tables, objectives=["score"], constraints=["size_mb <= 2"])
    least = tables.total("size_mb", np.zeros((1, 19), dtype=np.int64))[0]
    reach = smallest_reachable(problem)
    assert reach.nearest[0] == pytest.approx(least, rel=1e-12)
    assert not reach.alone[0]


def test_a_search_counts_the_points_that_there_are(tables: Tables) -> None:
    """Sums of equal bit operations in another order differ in their last digits, which would count as points."""
    archive = search(TableProblem(tables, objectives=["score", "gbops"]), evaluations=20_000, progress=False)
    assert nondominated(archive.evaluations.objectives).sum() > 24
    assert len(archive.front) == 24  # as published
