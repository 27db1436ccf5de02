"""Predictors by name: what each promises, and what is refused."""

import numpy as np
import pytest
from scipy import stats

from evo_qnas.errors import PredictorError
from evo_qnas.predict import PREDICTORS, Affine, Monotone, fit_predictor
from tests.predict.made import networks, of_tables, plain, worth


@pytest.mark.parametrize("kind", PREDICTORS)
def test_contract(kind: str) -> None:
    """Shapes, positive spread, draws of the generator alone, arguments unchanged, the same twice."""
    features = of_tables()
    genes, others = networks(features, 24), networks(features, 9, seed=1)
    rng = np.random.default_rng(3)
    values = features.totals(genes)[:, 0] + 0.05 * rng.standard_normal(24)
    kept = genes.copy(), values.copy()
    one, two = (fit_predictor(kind, features, genes, values, rng=np.random.default_rng(0)) for _ in range(2))
    np.testing.assert_array_equal(genes, kept[0])
    np.testing.assert_array_equal(values, kept[1])
    middle, spread = one.predict(others)
    assert middle.shape == spread.shape == (9,)
    assert (spread > 0).all()
    np.testing.assert_array_equal(middle, two.predict(others)[0])
    for joint in (False, True):
        drawn = one.draws(np.random.default_rng(1), others, 5, joint=joint)
        assert drawn.shape == (5, 9)
        np.testing.assert_array_equal(drawn, two.draws(np.random.default_rng(1), others, 5, joint=joint))
        assert (drawn != one.draws(np.random.default_rng(2), others, 5, joint=joint)).any()
    assert stats.kendalltau(middle, features.totals(others)[:, 0]).statistic > 0.5


@pytest.mark.parametrize("kind", [Affine, Monotone])
def test_sums_keep_their_order_whatever_was_measured(kind: type[Affine] | type[Monotone]) -> None:
    features = of_tables()
    genes, others = networks(features, 20), networks(features, 50, seed=1)
    falling = -features.totals(genes)[:, 0]
    for values in (falling, falling**2, np.random.default_rng(0).standard_normal(20), np.zeros(20)):
        predicted = kind.fit(features, genes, values).predict(others)[0]
        assert stats.kendalltau(predicted, features.totals(others)[:, 0]).statistic == pytest.approx(1.0)


def test_line_and_curve_through_what_they_can_fit() -> None:
    features = of_tables()
    genes = networks(features, 30)
    total = features.totals(genes)[:, 0]
    line = Affine.fit(features, genes, 3.0 * total + 1.0)
    assert (line.slope, line.offset) == (pytest.approx(3.0), pytest.approx(1.0))
    curve = Monotone.fit(features, genes, np.exp(total))
    np.testing.assert_allclose(curve.predict(genes)[0], np.exp(total), rtol=1e-4)


def test_ensemble_differs_more_where_nothing_was_measured() -> None:
    """Fitted to networks of the first two options, it is less sure of the third."""
    features = plain()
    genes = networks(features, 200)
    genes = genes[(genes < 2).all(axis=1)]
    values = worth(features, genes, coupling=0.3)
    ensemble = fit_predictor("ensemble", features, genes, values, rng=np.random.default_rng(0))
    far = np.full((1, 6), 2)
    assert ensemble.predict(far)[1][0] > ensemble.predict(genes[:5])[1].mean()


def test_what_is_refused() -> None:
    genes = networks(plain(), 10)
    rng = np.random.default_rng(0)
    with pytest.raises(PredictorError, match=r"no predictor 'rigde'.*'?ridge"):
        fit_predictor("rigde", plain(), genes, np.arange(10.0), rng=rng)
    with pytest.raises(PredictorError, match="need tables with a score"):
        fit_predictor("sum", plain(), genes, np.arange(10.0), rng=rng)
    with pytest.raises(PredictorError, match="got 1 networks"):
        fit_predictor("ridge", plain(), genes[:1], np.arange(1.0), rng=rng)
    with pytest.raises(PredictorError, match="finite measured values"):
        fit_predictor("ridge", plain(), genes, np.full(10, np.nan), rng=rng)
