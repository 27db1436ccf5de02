"""Statistics: scipy's values, worked examples, slow twins, and the error rate of the whole decision."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evo_qnas.compare.statistics import (
    average_ranks,
    critical_difference,
    effect_word,
    holm,
    mann_whitney,
    seeds_needed,
    settled,
    smallest_p,
    vargha_delaney,
    wilcoxon,
)

VALUES = st.lists(st.integers(-20, 20), min_size=2, max_size=8)


def test_wilcoxon_by_hand() -> None:
    # Ranks 1..6, the second one negative: the smaller rank sum is 2. Of 64 sign patterns those with negative ranks
    # {}, {1} and {2} sum to at most 2, so p = 2 * 3 / 64.
    assert wilcoxon(np.array([1.0, -2.0, 3.0, 4.0, 5.0, 6.0]), np.zeros(6)) == (2.0, 0.09375)


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_wilcoxon_against_all_sign_patterns(values: list[int]) -> None:
    differences = np.array([float(v) for v in values if v])
    ranks = stats.rankdata(np.abs(differences))
    plus = ranks[differences > 0].sum()
    smaller = min(plus, ranks.sum() - plus)
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in product([0, 1], repeat=len(ranks))]
    slow = min(1.0, 2.0 * np.mean([value <= smaller for value in sums])) if len(ranks) else 1.0
    statistic, p = wilcoxon(np.array(values, dtype=np.float64), np.zeros(len(values)))
    assert statistic == pytest.approx(smaller)
    assert p == pytest.approx(slow)


def test_tests_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for n in (5, 10, 31):
        first, second = rng.normal(size=n), rng.normal(0.5, size=n)
        expected = stats.wilcoxon(first, second)
        assert wilcoxon(first, second) == (expected.statistic, expected.pvalue)
        ranks = stats.mannwhitneyu(first, second, method="exact" if n <= 25 else "asymptotic")
        assert mann_whitney(first, second) == (ranks.statistic, ranks.pvalue)


def test_equal_runs_do_not_differ() -> None:
    same = np.array([0.5, 0.5, np.inf])
    assert wilcoxon(same, same) == (0.0, 1.0)
    assert mann_whitney(np.ones(3), np.ones(4)) == (6.0, 1.0)
    assert vargha_delaney(same, same) == 0.5


def test_last_digits_make_no_difference() -> None:
    first = np.full(10, 0.99)
    second = first - 1e-15
    assert wilcoxon(first, second)[1] < 0.05
    assert wilcoxon(settled(first), settled(second)) == (0.0, 1.0)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_holm_against_its_definition(values: list[float]) -> None:
    p = np.array(values)
    for mine, found in zip(p, holm(p), strict=True):
        # The largest of the raised p-values of all hypotheses that are rejected no later.
        earlier = [q * (len(p) - int((p < q).sum())) for q in p[p <= mine]]
        assert found == pytest.approx(min(1.0, max(earlier)))


@given(VALUES, VALUES)
@settings(max_examples=40, deadline=None)
def test_a12_counts_pairs(first: list[int], second: list[int]) -> None:
    score = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(first, second))
    arrays = np.array(first, dtype=np.float64), np.array(second, dtype=np.float64)
    assert vargha_delaney(*arrays) == pytest.approx(score / (len(first) * len(second)))
    assert effect_word(vargha_delaney(*arrays)) == effect_word(vargha_delaney(*arrays[::-1]))


def test_ranks_by_hand() -> None:
    # Four problems, always the same order: chi-square 12 * 4 / (3 * 4) * (1 + 0 + 1) = 8, p = exp(-4) at two degrees.
    ranks = average_ranks(np.array([[0.9, 0.8, 0.7]] * 4))
    assert ranks.mean.tolist() == [1.0, 2.0, 3.0]
    assert ranks.statistic == pytest.approx(8.0)
    assert ranks.p == pytest.approx(np.exp(-4.0))
    assert average_ranks(np.array([[0.9, 0.9, 0.7]])).mean.tolist() == [1.5, 1.5, 3.0]
    assert average_ranks(np.ones((4, 3))).p == 1.0
    assert np.isnan(average_ranks(np.empty((0, 3))).mean).all()


def test_critical_differences_of_the_literature() -> None:
    # Demsar 2006, table 5: q at 5 % for 2, 3, 4, 5 and 10 classifiers.
    for k, q in ((2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):
        assert critical_difference(k, 30) == pytest.approx(q * np.sqrt(k * (k + 1) / 180), abs=6e-4)
    assert np.isnan(critical_difference(1, 30))


@pytest.mark.parametrize("n", [1, 3, 6, 10, 13, 25])
def test_smallest_p_is_reached(n: int) -> None:
    high, low = np.arange(n) + 100.0, np.arange(n) * 0.5
    assert wilcoxon(high, low)[1] == pytest.approx(smallest_p(n))
    assert mann_whitney(high, low)[1] == pytest.approx(smallest_p(n, paired=False))


@pytest.mark.parametrize("n", [26, 50])
def test_wilcoxon_is_exact_for_up_to_50_pairs(n: int) -> None:
    # Of 2^n sign patterns one has no negative rank, and one no positive rank.
    assert wilcoxon(np.arange(n) + 100.0, np.arange(n) * 0.5) == (0.0, pytest.approx(2.0**-n * 2))


def test_mann_whitney_beyond_50_runs_is_the_normal_approximation() -> None:
    # Complete separation of 26 and 26: U = 0 lies 338 - 1/2 below its mean, at a variance of 26^2 * 53 / 12.
    z = (338 - 0.5) / np.sqrt(26**2 * 53 / 12)
    statistic, p = mann_whitney(np.arange(26.0), np.arange(26.0) + 100)
    assert (statistic, p) == (0.0, pytest.approx(2 * stats.norm.sf(z)))


def test_mann_whitney_with_ties_is_the_normal_approximation() -> None:
    # Two equal values of four: U = 0.5, variance 4 / 12 * (5 - 6 / 12) = 1.5.
    statistic, p = mann_whitney(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    assert (statistic, p) == (0.5, pytest.approx(2 * stats.norm.sf((2 - 0.5 - 0.5) / np.sqrt(1.5))))


@pytest.mark.parametrize(
    ("a12", "word"),
    [
        (0.5, "negligible"),
        (0.5599, "negligible"),
        (0.56, "small"),
        (0.6399, "small"),
        (0.64, "medium"),
        (0.7099, "medium"),
        (0.71, "large"),
        (1.0, "large"),
    ],
)
def test_effect_words_begin_at_the_values_of_vargha_and_delaney(a12: float, word: str) -> None:
    # 0.71 - 0.5 is 0.20999999999999996 in float64, and 1 - 0.71 lies on the other side.
    assert effect_word(a12) == effect_word(1.0 - a12) == word


def test_friedman_needs_three_algorithms_and_two_problems() -> None:
    two = average_ranks(np.array([[0.9, 0.8]] * 4))
    assert two.mean.tolist() == [1.0, 2.0]
    assert two.problems == 4
    assert np.isnan(two.statistic)
    assert np.isnan(two.p)
    # 1.960 is the normal quantile at 97.5 %: two ranks differ by a difference of signs.
    assert two.critical == pytest.approx(stats.norm.ppf(0.975) * np.sqrt(2 * 3 / (6 * 4)), rel=1e-4)
    assert np.isnan(average_ranks(np.array([[0.9, 0.8, 0.7]])).p)
    # Two problems, always the same order: chi-square 12 * 2 / (3 * 4) * (1 + 0 + 1) = 4.
    assert average_ranks(np.array([[0.9, 0.8, 0.7]] * 2)).p == pytest.approx(np.exp(-2.0))


def test_seeds_needed() -> None:
    assert seeds_needed(8) == 9
    assert smallest_p(9) * 8 < 0.05 <= smallest_p(8) * 8
    assert seeds_needed(1, paired=False) == 4


def test_equal_distributions_are_seldom_called_different() -> None:
    # Ten seeds allow a level of 50 / 1024 = 0.0488, so of 2,000 repetitions 98 are expected, with a deviation of 9.6;
    # 137 lie four deviations above.
    rng = np.random.default_rng(0)
    called = sum(wilcoxon(*rng.normal(size=(2, 10)))[1] < 0.05 for _ in range(2000))
    assert 60 < called < 137
