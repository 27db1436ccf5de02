"""From block latencies to network latencies: closed forms, leave-one-out against its slow twin, refusals."""

import numpy as np
import pytest

from evo_qnas.errors import TableError
from evo_qnas.tables.calibration import Agreement, calibrate


def made(networks: int, *, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    parts, factors = rng.uniform(0.1, 1.0, (networks, 6)), rng.uniform(0.7, 1.5, 6)
    return parts, (0.4 + parts @ factors) * (1 + noise * rng.standard_normal(networks)), factors


def test_an_affine_truth_is_found_from_few_networks() -> None:
    parts = made(8)[0]
    found = calibrate(parts, 0.3 + 1.2 * parts.sum(axis=1))
    assert found.model == "affine"
    assert found.fixed == pytest.approx(0.3)
    assert found.factors == pytest.approx(np.full(6, 1.2))
    assert found.left_out.error < 1e-9
    assert (found.left_out.kendall_tau, found.left_out.networks) == (pytest.approx(1.0), 8)
    assert found.predict(np.ones((1, 6))) == pytest.approx([0.3 + 7.2])


def test_blocks_get_factors_of_their_own_where_enough_networks_were_measured() -> None:
    parts, measured, factors = made(60, noise=0.01)
    found = calibrate(parts[:48], measured[:48])
    assert found.model == "ridge"
    assert np.abs(found.factors - factors).max() < 0.15
    common = calibrate(parts[:39], measured[:39])
    assert common.model in {"affine", "proportional"}
    held_out = [Agreement.of(fit.predict(parts[48:]), measured[48:]).error for fit in (found, common)]
    assert held_out[0] < 0.02 < held_out[1]


def test_left_out_predictions_are_those_of_fits_without_the_network() -> None:
    """The slow twin: fit twelve times without one network."""
    parts, measured, _ = made(12, noise=0.05, seed=3)
    found = calibrate(parts, measured)
    predicted = []
    for row in range(12):
        rest = np.arange(12) != row
        total = np.stack([np.ones(12), parts.sum(axis=1)], axis=1)[:, 0 if found.model == "affine" else 1 :]
        weights = 1 / measured[rest, None]
        solution = np.linalg.lstsq(total[rest] * weights, np.ones(11), rcond=None)[0]
        predicted.append(float(total[row] @ solution))
    assert found.left_out.error == pytest.approx(Agreement.of(np.array(predicted), measured).error)


def test_no_cost_is_negative() -> None:
    """Networks faster than their blocks together: an affine fit would start below 0."""
    parts = made(10)[0]
    found = calibrate(parts, np.maximum(0.05, 0.9 * parts.sum(axis=1) - 1.0))
    assert found.model == "proportional"
    assert found.fixed == 0.0
    assert (found.factors > 0).all()


@pytest.mark.parametrize(
    ("parts", "measured", "text"),
    [
        (np.ones((3, 2)), np.ones(3), "3 measured networks calibrate nothing: take at least 4"),
        (np.ones((4, 2)), np.array([1.0, 1.0, 0.0, 1.0]), "of networks above 0"),
        (-np.ones((4, 2)), np.ones(4), "of blocks at least 0"),
        (np.full((4, 2), np.nan), np.ones(4), "must be numbers"),
    ],
    ids=["few", "zero", "negative", "nan"],
)
def test_what_calibrates_nothing_is_refused(parts: np.ndarray, measured: np.ndarray, text: str) -> None:
    with pytest.raises(TableError, match=text):
        calibrate(parts, measured)
