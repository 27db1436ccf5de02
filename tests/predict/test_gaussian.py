"""Ridge and Gaussian processes: leaving one out, changes of scale, draws."""

import numpy as np
import pytest
from scipy import linalg, stats

from evo_qnas.errors import PredictorError
from evo_qnas.predict import Gaussian
from evo_qnas.predict.kernels import MENUS, Parts
from evo_qnas.predict.warping import warps
from tests.predict.made import networks, of_tables, plain, worth


def test_density_is_that_of_each_value_given_all_others() -> None:
    """Slow reference: every network left out in turn, its mean and variance by the textbook's formulas."""
    features = plain()
    genes = networks(features, 30)
    values = worth(features, genes, coupling=0.3)
    model = Gaussian.fit(features, genes, values, kernels=[{"option": 1.0, "near": 0.5}], warped=False)
    kernel = Parts.between(features, genes, genes, model.weights).kernel(model.weights)
    targets = (values - values.mean()) / values.std()
    total = 0.0
    for row in range(len(genes)):
        others = np.delete(np.arange(len(genes)), row)
        inner = kernel[np.ix_(others, others)] + model.shrinkage * np.eye(len(others))
        weights = np.linalg.solve(inner, kernel[others, row])
        variance = kernel[row, row] + model.shrinkage - weights @ kernel[others, row]
        total += stats.norm.logpdf(targets[row], weights @ targets[others], np.sqrt(model.scale * variance))
    assert model.density == pytest.approx(total - len(genes) * np.log(values.std()), rel=1e-6)


def test_prediction_is_ridge_regression() -> None:
    """Slow reference: the same coefficients by the normal equations of the one-hot design."""
    features = plain()
    genes = networks(features, 40)
    values = worth(features, genes, coupling=0.5)
    model = Gaussian.fit(features, genes, values, kernels=[{"option": 1.0}], warped=False)

    def design(rows: np.ndarray) -> np.ndarray:
        hot = [(rows[:, [gene]] == np.arange(3)).astype(float) for gene in range(6)]
        return np.concatenate([np.full((len(rows), 1), np.sqrt(10.0)), *(part / np.sqrt(6.0) for part in hot)], axis=1)

    left = design(genes)
    weights = linalg.solve(left.T @ left + model.shrinkage * np.eye(left.shape[1]), left.T @ values)
    # The constant is shrunk as well, towards the mean of the measured values.
    shift = linalg.solve(left.T @ left + model.shrinkage * np.eye(left.shape[1]), left.T @ np.ones(40))
    others = networks(features, 25, seed=9)
    wanted = design(others) @ weights + values.mean() * (1.0 - design(others) @ shift)
    np.testing.assert_allclose(model.predict(others)[0], wanted, rtol=1e-6)


def test_sums_are_foretold_exactly_and_pairs_by_pairwise_terms() -> None:
    features = plain()
    genes, others = networks(features, 80), networks(features, 300, seed=1)
    values, truth = worth(features, genes, coupling=0.0), worth(features, others, coupling=0.0)
    predicted, spread = Gaussian.fit(features, genes, values, kernels=MENUS["ridge"]).predict(others)
    np.testing.assert_allclose(predicted, truth, atol=0.02)
    assert spread.max() < 0.1
    values, truth = worth(features, genes, coupling=0.7), worth(features, others, coupling=0.7)
    error = {
        kind: np.std(Gaussian.fit(features, genes, values, kernels=MENUS[kind]).predict(others)[0] - truth)
        for kind in ("ridge", "pairwise")
    }
    assert error["pairwise"] < 0.8 * error["ridge"]


def test_columns_of_tables_help_where_few_were_measured() -> None:
    features = of_tables()
    genes, others = networks(features, 12), networks(features, 200, seed=1)
    score = features.totals(np.concatenate([genes, others]))[:, 0]
    fitted = Gaussian.fit(features, genes, np.sqrt(score[:12]))
    assert stats.kendalltau(fitted.predict(others)[0], score[12:]).statistic > 0.9
    assert "total" in fitted.weights


def test_scale_is_chosen_and_taken_back() -> None:
    """Values whose logarithm is a sum are predicted under a logarithm, and come back in their own unit."""
    features = plain()
    genes, others = networks(features, 80), networks(features, 200, seed=1)
    for sign in (1.0, -1.0):
        model = Gaussian.fit(features, genes, sign * np.exp(worth(features, genes, coupling=0.0)))
        assert model.warp.side == sign
        truth = sign * np.exp(worth(features, others, coupling=0.0))
        assert stats.kendalltau(model.predict(others)[0], truth).statistic > 0.9
        assert np.median(np.abs(model.predict(others)[0] - truth)) < 0.1 * np.std(truth)


@pytest.mark.parametrize("values", [np.array([1.0, 5.0, 2.0, 100.0]), np.array([-3.0, -3.0, 0.0]), np.full(4, 7.0)])
def test_scales_come_back_and_weigh_their_slope(values: np.ndarray) -> None:
    for warp in warps(values):
        np.testing.assert_allclose(warp.back(warp(values)), values, rtol=1e-9, atol=1e-9)
        step = 1e-6
        slope = (warp(values + step) - warp(values - step)) / (2 * step)
        assert (slope > 0).all()
        assert warp.gain == pytest.approx(np.log(slope).sum(), abs=1e-4)


def test_draws_are_spread_as_foretold_and_err_together() -> None:
    """4,000 draws: means within 5 standard errors, deviations within 10 %; copies of a network correlate."""
    features = plain()
    genes = networks(features, 25)
    values = worth(features, genes, coupling=0.3)
    model = Gaussian.fit(features, genes, values, kernels=[{"whole0.5": 1.0}], warped=False)
    others = networks(features, 8, seed=4)
    middle, spread = model.predict(others)
    for joint in (False, True):
        drawn = model.draws(np.random.default_rng(0), others, 4000, joint=joint)
        assert (np.abs(drawn.mean(axis=0) - middle) < 5 * spread / np.sqrt(4000)).all()
        np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.1)
    near = np.stack([others[0], others[0]])
    near[1, 0] = (near[0, 0] + 1) % 3
    drawn = model.draws(np.random.default_rng(1), near, 2000, joint=True)
    assert np.corrcoef(drawn.T)[0, 1] > 0.2
    apart = model.draws(np.random.default_rng(1), near, 2000, joint=False)
    assert abs(np.corrcoef(apart.T)[0, 1]) < 0.1


def test_constant_values_and_no_kernel() -> None:
    features = plain()
    genes = networks(features, 10)
    middle, spread = Gaussian.fit(features, genes, np.full(10, 3.0)).predict(genes)
    np.testing.assert_allclose(middle, 3.0)
    assert (spread < 1e-6).all()
    with pytest.raises(PredictorError, match="no kernel is left"):
        Gaussian.fit(features, genes, np.arange(10.0), kernels=[{"total": 1.0}])
