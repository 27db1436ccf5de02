"""Small problems and made-up runs for comparisons."""

import numpy as np
import pytest

from evo_qnas.compare import Run
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables


@pytest.fixture(scope="session")
def problem() -> TableProblem:
    """Six blocks, twelve choices, two objectives."""
    return TableProblem(generate_tables(6, operators=3, weight_bits=(4, 8), seed=3))


def made_run(points: np.ndarray, *, entry: str = "a", seed: int = 0, seconds: float = 0.5) -> Run:
    """A run that evaluated mutually non-dominated `points`, one every ten evaluations."""
    return Run(
        case="problem",
        entry=entry,
        seed=seed,
        rows=10 * np.arange(len(points)) + 9,
        objectives=points,
        judged=points,
        seconds=seconds * np.arange(1, len(points) + 1),
        front=np.ones(len(points), dtype=bool),
        evaluations=10 * len(points),
        total_seconds=seconds * len(points),
    )
