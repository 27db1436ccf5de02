import numpy as np
import pytest

from evo_qnas.errors import InfeasibleError, ProblemError
from evo_qnas.pareto import certificate, exact_front, hypervolume, weight_sweep, weighted_sum_optima
from evo_qnas.pareto.certificate import upper_bound
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

NAMES = ["score", "size_bytes", "latency_ms", "bit_operations"]


def scaled_volume(points: np.ndarray, ideal: np.ndarray, nadir: np.ndarray) -> float:
    return hypervolume((points - ideal) / (nadir - ideal), np.ones(len(ideal)))


@pytest.mark.parametrize("m", [2, 3])
def test_share_is_the_ratio_of_hypervolumes(m: int) -> None:
    problem = TableProblem(generate_tables(5, operators=4), objectives=NAMES[:m])
    front = exact_front(problem).objectives
    part = front[:: len(front) // 20]
    proof = certificate(problem, part)
    ideal, nadir = front.min(axis=0), front.max(axis=0)
    assert proof.method == "exact"
    assert proof.share == pytest.approx(scaled_volume(part, ideal, nadir) / scaled_volume(front, ideal, nadir))
    assert 0.5 < proof.share < 1.0
    assert np.array_equal(proof.ideal, ideal)
    assert proof.reference.tolist() == [1.0] * m
    assert certificate(problem, front).share == 1.0
    assert certificate(problem, part, front=exact_front(problem)).share == proof.share
    assert str(proof).startswith(
        f"{np.floor(proof.share * 1e4) / 1e4:.4f} of the optimum (hypervolume, exact front of "
    )


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("limits", [[], ["size_bytes <= 150_000"], ["macs <= 1e8", "latency_ms <= 3"]])
def test_the_bound_is_above_the_exact_volume_and_near(m: int, limits: list[str]) -> None:
    problem = TableProblem(generate_tables(5, operators=2), objectives=NAMES[:m], constraints=limits)
    additive = problem.additive
    assert additive is not None
    front = exact_front(problem).objectives
    ideal, nadir = front.min(axis=0), front.max(axis=0)
    true = scaled_volume(front, ideal, nadir)
    bound = upper_bound(additive, ideal=ideal, nadir=nadir)
    assert true <= bound <= min(1.0, true + 0.08)


def test_out_of_reach_a_bound_is_used_and_said() -> None:
    problem = TableProblem(generate_tables(10), objectives=NAMES[:3])
    assert problem.additive is not None
    weights = weight_sweep(3, 20) / np.array([20.0, 5e5, 8.0])
    found = problem.evaluate(problem.space.decode(weighted_sum_optima(problem.additive, weights)))[0]
    proof = certificate(problem, found, max_points=1000)
    assert proof.method == "bound"
    assert proof.points == 0
    assert str(proof).startswith("at least 0.9")
    true = exact_front(problem).objectives
    best = scaled_volume(true, proof.ideal, proof.nadir)
    assert proof.best >= best
    assert proof.share <= scaled_volume(found, proof.ideal, proof.nadir) / best


@pytest.mark.parametrize(
    ("columns", "found", "share"),
    [
        ({"a": [[0.0, 1.0]], "b": [[1.0, 0.0]]}, [[0.0, 1.0]], 0.5),  # two points: no volume below 1.0
        ({"a": [[0.0, 1.0]], "b": [[0.0, 4.0]]}, [[0.0, 0.0]], 1.0),  # one point
        ({"a": [[0.0, 1.0]], "b": [[0.0, 4.0]]}, [[1.0, 0.0]], 0.0),
        ({"a": [[3.0, 3.0]], "b": [[2.0, 2.0]]}, [[3.0, 2.0]], 1.0),  # nothing varies
        ({"a": [[0.0, 2.0, 10.0]]}, [[2.0]], 0.8),  # one objective: from the best to the largest value
        ({"a": [[0.0, 1.0]], "b": [[1.0, 0.0]]}, [], 0.0),
    ],
)
def test_degenerate_fronts(columns: dict[str, list[list[float]]], found: list[list[float]], share: float) -> None:
    tables = Tables.from_arrays({name: [np.array(v) for v in values] for name, values in columns.items()})
    problem = TableProblem(tables, objectives=list(columns))
    proof = certificate(problem, np.array(found).reshape(len(found), len(columns)))
    if proof.reference[0] == 1.1:
        # Squares of 0.1 x 1.1 at both ends, sharing 0.1 x 0.1.
        share = 0.11 / 0.21 if share else 0.0
    assert proof.share == pytest.approx(share)


def test_what_has_no_certificate_says_so() -> None:
    tables = generate_tables(5, operators=3)
    with pytest.raises(ProblemError, match="sums over blocks"):
        certificate(TableProblem(tables, objectives=["max:latency_ms"]), np.zeros((1, 1)))
    never = TableProblem(tables, objectives=NAMES[:2], constraints=["latency_ms <= 0"])
    with pytest.raises(InfeasibleError, match="latency_ms <= 0 cannot be met"):
        certificate(never, np.zeros((1, 2)))


def test_five_objectives_have_shares_with_an_error() -> None:
    problem = TableProblem(generate_tables(4, operators=2), objectives=[*NAMES, "macs"])
    front = exact_front(problem).objectives
    part = front[:: len(front) // 40]
    proof = certificate(problem, part)
    true = scaled_volume(part, proof.ideal, proof.nadir) / scaled_volume(front, proof.ideal, proof.nadir)
    assert proof.method == "exact"
    assert abs(proof.share - true) < 2.0 * proof.error
    assert f"{proof.error:.2g} (95 %) of the optimum" in str(proof)
    bound = certificate(problem, part, max_points=20)
    assert bound.method == "bound"
    below = scaled_volume(part, bound.ideal, bound.nadir) / scaled_volume(front, bound.ideal, bound.nadir)
    assert 0.3 * below < bound.share < below + 2.0 * bound.error
