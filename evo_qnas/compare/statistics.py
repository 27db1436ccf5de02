"""Statistics of a comparison: tests, corrections, effect sizes, ranks."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

# The usual level of significance.
ALPHA = 0.05
# Decimals in which two runs with one front agree; the last digits of a sum depend on the order of its terms.
DIGITS = 12
# Runs of each algorithm up to which Mann and Whitney's distribution is the exact one; beyond, the normal one is close.
MOST_EXACT = 25


def settled(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Values rounded to 12 decimals: two runs with the same front may differ in the last digits of a sum."""
    return np.round(values, DIGITS)


def wilcoxon(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Statistic and two-sided p of Wilcoxon's signed-rank test over pairs; pairs without a difference are left out.

    Source: Wilcoxon 1945, through scipy (exact distribution for up to 50 pairs).

    Example:
        >>> wilcoxon(np.arange(6.0) + 1, np.zeros(6))
        (0.0, 0.03125)
    """
    from scipy import stats

    differ = first != second
    difference = first[differ] - second[differ]
    if not len(difference):
        return 0.0, 1.0
    result = stats.wilcoxon(difference)
    return float(result.statistic), float(result.pvalue)


def signed_rank_sum(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " n"]) -> float:
    """Above 0 where `first` is the larger one by the ranks of Wilcoxon's test, below 0 where `second` is.

    Example:
        >>> signed_rank_sum(np.array([2.0, 1.0, 1.0]), np.array([0.0, 2.5, 1.0]))
        1.0
    """
    from scipy import stats

    differ = first != second
    difference = first[differ] - second[differ]
    return float((np.sign(difference) * stats.rankdata(np.abs(difference))).sum())


def mann_whitney(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " k"]) -> tuple[float, float]:
    """Statistic of `first` and two-sided p of the Mann-Whitney test, for runs that are not paired.

    Source: Mann & Whitney 1947, through scipy (exact distribution for up to 50 runs in all without ties).
    """
    from scipy import stats

    values = np.concatenate([first, second])
    different = len(np.unique(values))
    if different < 2:
        return len(first) * len(second) / 2, 1.0
    exact = different == len(values) <= 2 * MOST_EXACT
    result = stats.mannwhitneyu(first, second, alternative="two-sided", method="exact" if exact else "asymptotic")
    return float(result.statistic), float(result.pvalue)


def holm(p: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """p-values adjusted for being one of n; `(n,)`, at most 1.

    Source: Holm 1979.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    raised = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return adjusted


def vargha_delaney(first: Float[np.ndarray, " n"], second: Float[np.ndarray, " k"]) -> float:
    """A12: the probability that a value of `first` is larger than one of `second`, ties counting half.

    Source: Vargha & Delaney 2000.

    Example:
        >>> vargha_delaney(np.array([3.0, 4.0]), np.array([1.0, 3.0]))
        0.875
    """
    larger = (first[:, None] > second[None, :]).sum() + 0.5 * (first[:, None] == second[None, :]).sum()
    return float(larger / (len(first) * len(second)))


def effect_word(a12: float) -> str:
    """The word for an A12: negligible, small (from 0.56), medium (from 0.64) or large (from 0.71), to either side.

    Source: Vargha & Delaney 2000.

    Example:
        >>> [effect_word(a12) for a12 in (0.5, 0.56, 0.36, 0.9)]
        ['negligible', 'small', 'medium', 'large']
    """
    distance = round(abs(a12 - 0.5), DIGITS)
    return (
        "large" if distance >= 0.21 else "medium" if distance >= 0.14 else "small" if distance >= 0.06 else "negligible"
    )


def smallest_p(n: int, *, paired: bool = True) -> float:
    """The smallest two-sided p that n runs of each of two algorithms can give, before any correction.

    Example:
        >>> smallest_p(5), smallest_p(10)
        (0.0625, 0.001953125)
    """
    return min(1.0, 2.0 / (2.0**n if paired else math.comb(2 * n, n)))


def seeds_needed(pairs: int, *, paired: bool = True) -> int:
    """The number of seeds that make a corrected p below 0.05 possible at all among so many pairs.

    Example:
        >>> seeds_needed(1), seeds_needed(36)
        (6, 11)
    """
    n = 1
    while smallest_p(n, paired=paired) * pairs >= ALPHA:
        n += 1
    return n


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Average ranks over problems, 1 is best.

    Attributes:
        mean: (algorithms,) float64.
        problems: how many problems.
        statistic: Friedman's chi-square; NaN for fewer than three algorithms or two problems.
        p: its p.
        critical: mean ranks that differ by more than this differ at 5 % (Nemenyi).
    """

    mean: Float[np.ndarray, " algorithms"]
    problems: int
    statistic: float
    p: float
    critical: float


def average_ranks(values: Float[np.ndarray, "problems algorithms"]) -> Ranks:
    """Ranks of values of which more is better, equal ones sharing theirs, averaged over problems.

    Source: Friedman 1937, Nemenyi 1963, as put together by Demsar 2006.
    """
    from scipy import stats

    problems, algorithms = values.shape
    ranks = stats.rankdata(-values, axis=1) if problems else np.full((1, algorithms), np.nan)
    statistic, p = float("nan"), float("nan")
    if algorithms > 2 and problems > 1:
        if (np.ptp(ranks, axis=1) == 0).all():
            statistic, p = 0.0, 1.0
        else:
            result = stats.friedmanchisquare(*ranks.T)
            statistic, p = float(result.statistic), float(result.pvalue)
    return Ranks(
        mean=ranks.mean(axis=0),
        problems=problems,
        statistic=statistic,
        p=p,
        critical=critical_difference(algorithms, problems),
    )


def critical_difference(algorithms: int, problems: int) -> float:
    """Nemenyi's critical difference of average ranks at 5 %; NaN for fewer than two algorithms or no problem.

    Example:
        >>> round(critical_difference(4, 14), 2)
        1.25
    """
    from scipy import stats

    if algorithms < 2 or problems < 1:
        return float("nan")
    quantile = float(stats.studentized_range.ppf(1.0 - ALPHA, algorithms, np.inf)) / math.sqrt(2.0)
    return quantile * math.sqrt(algorithms * (algorithms + 1) / (6.0 * problems))
