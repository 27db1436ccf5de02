"""NSGA-II on real tables whose exact fronts are known (`data/README.md` of the real data)."""

from pathlib import Path

import numpy as np
import pytest

from evo_qnas.pareto import exact_front
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.tables.importers import import_hawq


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objectives", "points"),
    [(["score", "latency_ms"], 41), (["score", "size_mb", "latency_ms"], 90)],
)
def test_nsga2_finds_every_point_of_hawq_with_every_seed(real_data: Path, objectives: list[str], points: int) -> None:
    problem = TableProblem(import_hawq(real_data / "hawqv3_resnet18.json"), objectives=objectives)
    truth = exact_front(problem)
    assert len(truth.genomes) == points
    for seed in range(10):
        for options in ({}, {"reduce": False, "seeding": False}):
            front = search(problem, evaluations=20_000, seed=seed, **options).front
            np.testing.assert_array_equal(front.objectives, truth.objectives, err_msg=f"seed {seed}, {options}")
