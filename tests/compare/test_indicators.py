"""Indicators: pymoo's values, closed forms, and how soon a run got somewhere."""

import numpy as np
import pytest
from pymoo.indicators.hv import HV
from pymoo.indicators.igd_plus import IGDPlus

from evo_qnas.compare import KnownFront, measure, reference_of
from evo_qnas.compare.indicators import CHECKPOINTS, checkpoints, found_points
from evo_qnas.pareto import certificate, nondominated
from evo_qnas.problem import TableProblem
from tests.compare.conftest import made_run


def random_front(rng: np.random.Generator, m: int) -> np.ndarray:
    points = rng.random((int(rng.integers(5, 60)), m)) * rng.uniform(0.5, 100.0, m) - rng.uniform(0.0, 10.0, m)
    return points[nondominated(points)]


@pytest.mark.parametrize("m", [2, 3])
def test_indicators_agree_with_pymoo(m: int) -> None:
    """Hypervolume, additive epsilon and IGD+ of 100 random fronts, half of them here."""
    rng = np.random.default_rng(m)
    for _ in range(50):
        target, front = random_front(rng, m), random_front(rng, m)
        if len(target) < 2:
            target = np.concatenate([target + np.eye(m)[:1], target + np.eye(m)[1:2]])
        reference = reference_of(KnownFront(points=target, exact=True, how="drawn"), [])
        quality = measure(made_run(front), reference, 10 * len(front))
        ours, theirs = reference.scaled(front), reference.scaled(target)
        point = np.full(m, reference.point)
        assert reference.volume == pytest.approx(HV(ref_point=point)(theirs), rel=1e-9)
        assert quality.hypervolume == pytest.approx(HV(ref_point=point)(ours), rel=1e-9, abs=1e-12)
        assert quality.igd_plus == pytest.approx(IGDPlus(theirs)(ours), rel=1e-9, abs=1e-12)
        # pymoo has no additive epsilon: its definition, point by point.
        epsilon = max(min(max(a - r) for a in ours.tolist() for a in [np.array(a)]) for r in theirs)
        assert quality.epsilon == pytest.approx(epsilon, rel=1e-9, abs=1e-12)


def test_reference_itself_is_perfect() -> None:
    points = np.array([[0.0, 4.0], [1.0, 1.0], [3.0, 0.0]])
    reference = reference_of(KnownFront(points=points, exact=True, how="given"), [])
    quality = measure(made_run(points), reference, 30)
    assert (quality.share, quality.epsilon, quality.igd_plus, quality.found) == (1.0, 0.0, 0.0, 3)
    # Scaled: (0, 1), (1/3, 1/4), (1, 0): the middle one alone has volume below 1, 2/3 * 3/4.
    assert reference.volume == pytest.approx(0.5)
    assert (reference.ideal.tolist(), reference.nadir.tolist(), reference.point) == ([0.0, 0.0], [3.0, 4.0], 1.0)
    assert "reference point 1" in reference.text
    assert "from (0, 0) to (3, 4)" in reference.text


def test_reference_without_volume_gets_room() -> None:
    points = np.array([[0.0, 1.0], [1.0, 0.0]])
    reference = reference_of(KnownFront(points=points, exact=True, how="given"), [])
    assert reference.point == 1.1
    assert reference.volume == pytest.approx(0.1 * 1.1 + 0.1 * 1.1 - 0.01)


def test_share_is_that_of_the_certificate(problem: TableProblem) -> None:
    some = problem.evaluate(problem.space.sample(np.random.default_rng(0), 200))[0]
    some = some[nondominated(some)]
    from evo_qnas.compare import summed_front

    reference = reference_of(summed_front(problem), [])
    assert measure(made_run(some), reference, 100).share == pytest.approx(certificate(problem, some).share, rel=1e-12)


def test_best_known_reference_joins_runs() -> None:
    known = KnownFront(points=np.array([[0.0, 2.0], [2.0, 0.0]]), exact=False, how="thinned front")
    runs = [made_run(np.array([[1.0, 0.5]])), made_run(np.array([[1.5, 1.5]]), seed=1)]
    reference = reference_of(known, runs)
    assert reference.points.tolist() == [[0.0, 2.0], [1.0, 0.5], [2.0, 0.0]]
    assert not reference.exact
    assert reference.how == "best known, from 2 runs and a thinned front"
    assert measure(runs[0], reference, 10).found is None
    assert reference_of(None, runs).how == "best known, from 2 runs"


def test_run_without_front() -> None:
    reference = reference_of(KnownFront(points=np.array([[0.0, 1.0], [1.0, 0.0]]), exact=True, how="given"), [])
    quality = measure(made_run(np.empty((0, 2))), reference, 100)
    assert (quality.share, quality.found, quality.front) == (0.0, 0, 0)
    assert quality.epsilon == quality.igd_plus == np.inf
    assert np.isnan(quality.evaluations_to).all()
    assert not quality.curve.any()


def test_time_to_a_share_is_exact() -> None:
    # Volume below (1, 1) after the second, third, .. point of a line, each a unit of the last one: known by hand.
    points = np.array([[0.0, 1.0], [0.5, 0.5], [0.25, 0.7], [1.0, 0.0], [0.75, 0.2]])
    run = made_run(points)
    reference = reference_of(KnownFront(points=points, exact=True, how="given"), [])
    shares = [reference.share(points[:count]) for count in range(1, 6)]
    assert shares[:2] == [0.0, pytest.approx(0.25 / reference.volume)]
    quality = measure(run, reference, 50)
    first = next(i for i, share in enumerate(shares) if share >= 0.9)
    assert quality.evaluations_to[0] == 10 * first + 10
    assert quality.seconds_to[0] == 0.5 * (first + 1)
    for end, share in zip(checkpoints(50), quality.curve, strict=True):
        assert share == ([0.0, *shares])[end // 10]


def test_time_to_a_share_within_one_checkpoint() -> None:
    # A budget of 2,500 puts a checkpoint at 50, behind all five rows: the crossing is found between them.
    points = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.25, 0.55], [0.7, 0.2]])
    reference = reference_of(KnownFront(points=points, exact=True, how="given"), [])
    shares = [reference.share(points[:count]) for count in range(1, 6)]
    quality = measure(made_run(points), reference, 2500)
    for goal, reached in zip((0.9, 0.99), quality.evaluations_to[:2], strict=True):
        assert reached == 10 * next(i for i, share in enumerate(shares) if share >= goal) + 10
    half = np.array([[0.0, 1.0], [1.0, 0.0], [0.001, 0.002], [0.0005, 0.5]])
    early = measure(made_run(half), reference_of(KnownFront(points=half, exact=True, how="given"), []), 2500)
    assert early.evaluations_to[:2] == (30.0, 30.0)


def test_noisy_run_is_judged_by_the_truth() -> None:
    seen = np.array([[0.0, 1.0], [1.0, 0.0], [0.4, 0.4]])
    judged = np.array([[0.0, 1.0], [1.0, 0.0], [0.9, 0.9]])
    run = made_run(seen)
    run = type(run)(**{**{name: getattr(run, name) for name in run.__dataclass_fields__}, "judged": judged})
    reference = reference_of(KnownFront(points=seen, exact=True, how="given"), [])
    assert measure(run, reference, 30).share == pytest.approx(0.01 / 0.36)


def test_checkpoints_divide_every_budget() -> None:
    for budget in (1, 7, 50, 999, 5000):
        ends = checkpoints(budget)
        assert (len(ends), ends[-1]) == (CHECKPOINTS, budget)
        assert list(ends) == sorted(ends)


def test_found_points_ignore_rounding() -> None:
    target = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert found_points(target + 1e-12, target) == 2
    assert found_points(target[:1] + 1e-6, target) == 0
    assert found_points(target[:0], target) == 0
