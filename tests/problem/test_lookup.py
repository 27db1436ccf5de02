"""Measured networks as a black box."""

from itertools import product
from pathlib import Path

import moocore
import numpy as np
import pytest

from evo_qnas.errors import ProblemError
from evo_qnas.problem import LookupProblem, Problem, evaluate_batches, nas_bench_macro
from evo_qnas.testing import ProblemContract

EVERY = np.array(list(product(range(3), range(2), range(4))))


class TestLookup(ProblemContract):
    def make_problem(self) -> Problem:
        values = np.random.default_rng(0).normal(size=(2, len(EVERY)))
        return LookupProblem(EVERY, {"a": values[0], "b": values[1]}, maximize=["b"])


def test_each_genome_has_its_row() -> None:
    problem = LookupProblem(EVERY, {"row": np.arange(24.0), "gain": np.arange(24.0)}, maximize=["gain"])
    assert problem.evaluate(EVERY[::-1])[0].tolist() == [[float(r), -float(r)] for r in range(23, -1, -1)]
    assert problem.space.size == 24


def test_networks_that_were_not_measured_fail() -> None:
    problem = LookupProblem(EVERY[1:], {"a": np.ones(23)})
    (outcome,) = evaluate_batches(problem, EVERY[:2])
    assert outcome.state.tolist() == [1, 0]
    assert dict(outcome.reasons) == {0: "'a' is nan"}


def test_fingerprints_tell_genomes_and_values_apart() -> None:
    def fingerprint(genomes: list[list[int]], values: list[float]) -> str:
        return LookupProblem(np.array(genomes), {"a": np.array(values)}).fingerprint

    first = fingerprint([[0, 1], [1, 0]], [1.0, 2.0])
    assert first == fingerprint([[0, 1], [1, 0]], [1.0, 2.0])
    assert first != fingerprint([[0, 1], [1, 0]], [1.0, 3.0])
    assert first != fingerprint([[0, 1], [1, 1]], [1.0, 2.0])


def test_wrong_columns_are_named() -> None:
    with pytest.raises(ProblemError, match=r"column 'a' needs 24 values, got shape \(3,\)"):
        LookupProblem(EVERY, {"a": np.ones(3)})
    with pytest.raises(ProblemError, match="there is no column 'b' to maximise"):
        LookupProblem(EVERY, {"a": np.ones(24)}, maximize=["b"])
    with pytest.raises(ProblemError, match="at least one column"):
        LookupProblem(EVERY, {})


@pytest.mark.parametrize(
    ("names", "points", "volume"),
    [
        (("error", "params"), 39, 0.974273),
        (("error", "flops"), 35, 0.902775),
        (("error", "params", "flops"), 118, 0.882848),
    ],
)
def test_nas_bench_macro_has_its_published_fronts(
    real_data: Path, names: tuple[str, ...], points: int, volume: float
) -> None:
    problem = nas_bench_macro(real_data / "nas_bench_macro_cifar10.npz", names)
    values, _ = problem.evaluate(np.array(list(product(range(3), repeat=8))))
    scaled = (values - values.min(axis=0)) / np.ptp(values, axis=0)
    front = scaled[moocore.is_nondominated(scaled, keep_weakly=False)]
    assert len(front) == points
    # The figures are printed to six digits.
    assert moocore.hypervolume(front, ref=np.ones(len(names))) == pytest.approx(volume, abs=5e-7)


def test_nas_bench_macro_names_what_it_lacks(real_data: Path) -> None:
    with pytest.raises(ProblemError, match="has no 'latency'; there are: error, params, flops"):
        nas_bench_macro(real_data / "nas_bench_macro_cifar10.npz", ["latency"])
