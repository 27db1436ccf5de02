"""Cross-validated rank correlations, the choice by them, and the warning that too little was measured."""

import logging

import numpy as np
import pytest
from scipy import stats

from evo_qnas.errors import PredictorError
from evo_qnas.predict import assess, choose, kendall
from evo_qnas.predict.rank import resampled_taus
from tests.predict.made import networks, of_tables, plain, worth


def test_tau_of_resamples_is_scipys() -> None:
    """Slow reference: the same resamples one by one, ties included."""
    rng = np.random.default_rng(0)
    measured, predicted = rng.integers(0, 8, 40).astype(float), rng.integers(0, 9, (2, 40)).astype(float)
    found = resampled_taus(predicted, measured, rng=np.random.default_rng(5))
    counts = np.random.default_rng(5).multinomial(40, np.full(40, 1 / 40), size=1000)
    for one, row in zip(predicted, found, strict=True):
        for index in range(0, 1000, 100):
            rows = np.repeat(np.arange(40), counts[index])
            assert row[index] == pytest.approx(stats.kendalltau(one[rows], measured[rows]).statistic)


def test_interval_holds_tau_and_shrinks() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for n in (20, 200, 2500):
        measured = rng.standard_normal(n)
        tau = kendall(measured + rng.standard_normal(n), measured, rng=rng)
        assert tau.low < tau.tau < tau.high
        widths.append(tau.high - tau.low)
    assert widths[0] > widths[1] > widths[2]
    assert np.isnan(kendall(np.zeros(5), np.arange(5.0), rng=rng).tau)


def test_no_network_foretells_itself() -> None:
    """Noise is not ranked: with a leak tau would be near 1; without, within 4 standard errors (0.06) of 0."""
    features = plain()
    genes = networks(features, 120)
    noise = np.random.default_rng(2).standard_normal(120)
    for kind in ("ridge", "process", "ensemble"):
        assert abs(assess(kind, features, genes, noise, folds=5).tau.tau) < 0.25


def test_stated_tau_is_near_that_on_all_others() -> None:
    features = plain(8)
    genes = networks(features, 1500)
    values = worth(features, genes, coupling=0.4)
    stated = assess("pairwise", features, genes[:100], values[:100])
    fitted = choose(features, genes[:100], values[:100], kinds=["pairwise"]).predictor
    tau = stats.kendalltau(fitted.predict(genes[100:])[0], values[100:]).statistic
    assert abs(stated.tau.tau - tau) < 0.12


def test_choice_is_the_simplest_that_is_as_good() -> None:
    features = of_tables()
    genes = networks(features, 50)
    total = features.totals(genes)[:, 0]
    noise = 0.1 * total.std() * np.random.default_rng(0).standard_normal(50)
    simple = choose(features, genes, total + noise, kinds=["sum", "monotone", "ridge", "process"])
    assert simple.kind == "sum"
    assert simple.assessments[0].kind == "sum"
    plain_features = plain()
    genes = networks(plain_features, 120)
    coupled = choose(
        plain_features, genes, worth(plain_features, genes, coupling=0.8), kinds=["ridge", "pairwise", "process"]
    )
    assert coupled.kind in {"pairwise", "process"}
    assert coupled.tau.tau > next(each for each in coupled.assessments if each.kind == "ridge").tau.tau


def test_too_few_networks_are_said_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    features = of_tables()
    genes = networks(features, 16)
    values = features.totals(genes)[:, 0] + 2 * np.random.default_rng(0).standard_normal(16)
    with caplog.at_level(logging.WARNING):
        choice = choose(features, genes, values)
    assert "16 measured networks are too few to tell" in choice.warning
    assert choice.warning in caplog.text
    few = choose(features, genes[:5], values[:5])
    assert few.kind == "sum"
    assert few.warning == "5 measured networks are too few to judge a predictor by, 8 are the least"
    genes = networks(features, 60)
    sure = choose(features, genes, features.totals(genes)[:, 0], kinds=["sum", "ridge"])
    assert not sure.warning
    with pytest.raises(PredictorError, match="four measured networks"):
        assess("ridge", features, genes[:3], values[:3])


def test_sum_needs_no_folds_and_chance_of_seed_only_moves_folds() -> None:
    features = of_tables()
    genes = networks(features, 30)
    values = features.totals(genes)[:, 0] + np.random.default_rng(0).standard_normal(30)
    wanted = stats.kendalltau(features.totals(genes)[:, 0], values).statistic
    assert assess("sum", features, genes, values).tau.tau == pytest.approx(wanted)
    one, two = (assess("ridge", features, genes, values, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.predicted, two.predicted)
    assert one.tau == two.tau
