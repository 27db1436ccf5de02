import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import front_rows
from evo_qnas.archive.history import MOST_ROWS, traced
from evo_qnas.compare import KnownFront, reference_of
from evo_qnas.pareto import hypervolume_share


def slow_history(rows: Evaluations, upto: int, reference: float) -> tuple[int, float]:
    """Feasible count and hypervolume of the first `upto` evaluations, scaled by the final front."""
    front = rows.objectives[front_rows(rows)]
    ideal, nadir = front.min(axis=0), front.max(axis=0)
    nadir = np.where(nadir > ideal, nadir, rows.objectives[rows.feasible].max(axis=0))
    span = np.where(nadir > ideal, nadir - ideal, 1.0)
    fine = rows.feasible[:upto]
    points = (rows.objectives[:upto][fine] - ideal) / span
    m = points.shape[1]
    if not len(points):
        return 0, 0.0
    if m == 1:
        return int(fine.sum()), float(max(reference - points.min(), 0.0))
    return int(fine.sum()), float(moocore.hypervolume(points, ref=np.full(m, reference)))


@settings(max_examples=80, deadline=None)
@given(m=st.integers(1, 4), seed=st.integers(0, 10**6), levels=st.sampled_from([2, 5, 1000]), size=st.integers(1, 9))
def test_history_is_what_the_definition_says(m: int, seed: int, levels: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    n = 12 * size
    objectives = rng.integers(0, levels, size=(n, m)) * 1.0
    rows = Evaluations.ok(np.zeros((n, 2), np.int64), objectives, rng.random((n, 1)) - 0.7)
    generation = np.repeat(np.arange(12), size).astype(np.int32)
    rows = Evaluations(**{**{f: getattr(rows, f) for f in FIELDS}, "generation": generation})
    best, history = traced(rows)
    assert np.array_equal(best, front_rows(rows))
    assert history.generation.tolist() == list(range(12))
    if not len(best):
        assert not history.hypervolume.any()
        return
    for row, upto in enumerate(history.evaluations.tolist()):
        feasible, volume = slow_history(rows, upto, history.reference)
        assert history.feasible[row] == feasible
        assert history.hypervolume[row] == pytest.approx(volume, rel=1e-9, abs=1e-12)


FIELDS = ("genomes", "objectives", "constraints", "generation", "seconds", "state")


def test_long_histories_are_thinned_and_end_at_the_end() -> None:
    rng = np.random.default_rng(1)
    n = 30_000
    rows = Evaluations.ok(np.zeros((n, 1), np.int64), rng.random((n, 2)), np.zeros((n, 0)))
    rows = Evaluations(**{**{f: getattr(rows, f) for f in FIELDS}, "generation": np.arange(n, dtype=np.int32) // 10})
    best, history = traced(rows)
    assert len(history) == MOST_ROWS
    assert history.evaluations[-1] == n
    assert (np.diff(history.hypervolume) >= -1e-12).all()
    front = rows.objectives[best]
    scaled = (front - front.min(axis=0)) / (front.max(axis=0) - front.min(axis=0))
    assert history.hypervolume[-1] == pytest.approx(moocore.hypervolume(scaled, ref=[1.0, 1.0]), rel=1e-12)
    assert np.array_equal(np.sort(best), np.sort(np.flatnonzero(moocore.is_nondominated(rows.objectives))))


@pytest.mark.parametrize(
    ("objectives", "reference"),
    [([[0, 2], [1, 1], [2, 0]], 1.0), ([[0, 2], [2, 0]], 1.1), ([[0, 2, 1], [2, 0, 1], [1, 2, 0]], 1.1)],
)
def test_history_certificate_and_comparison_have_one_reference_point(objectives: list, reference: float) -> None:
    points = np.array(objectives, dtype=np.float64)
    rows = Evaluations.ok(np.arange(len(points))[:, None], points, np.zeros((len(points), 0)))
    known = reference_of(KnownFront(points=points, exact=True, how="by hand"), [])
    history = traced(rows)[1]
    assert history.reference == known.point == reference
    assert history.hypervolume[-1] == pytest.approx(known.volume, rel=1e-12)


def test_the_final_front_has_all_of_its_hypervolume() -> None:
    points = np.random.default_rng(3).random((400, 2)).cumsum(axis=0) / 7
    points[:, 1] = points[-1, 1] - points[:, 1]
    rows = Evaluations.ok(np.arange(400)[:, None], points, np.zeros((400, 0)))
    known = reference_of(KnownFront(points=points[::-1] * (1 + 1e-15), exact=True, how="by hand"), [])
    assert known.share(points) == 1.0
    assert hypervolume_share(traced(rows)[1].hypervolume[-1], known.volume) == 1.0
    assert known.share(np.delete(points, 200, axis=0)) < 1.0


def test_many_points_of_five_objectives_have_estimates_with_an_error() -> None:
    rng = np.random.default_rng(4)
    normal = np.abs(rng.normal(size=(600, 5)))
    points = 1.0 - normal / np.linalg.norm(normal, axis=1, keepdims=True)
    rows = Evaluations.ok(np.zeros((600, 1), np.int64), points, np.zeros((600, 0)))
    rows = Evaluations(**{**{f: getattr(rows, f) for f in FIELDS}, "generation": np.arange(600, dtype=np.int32) // 100})
    best, history = traced(rows)
    assert np.array_equal(best, front_rows(rows))
    assert (history.error > 0).all()
    assert (np.diff(history.hypervolume) >= 0).all(), "the same directions at every step"
    scaled = (points - history.ideal) / (history.nadir - history.ideal)
    exact = [moocore.hypervolume(scaled[:stop], ref=np.full(5, history.reference)) for stop in (100, 200)]
    assert (np.abs(history.hypervolume[:2] - exact) < 2.0 * history.error[:2]).all()
