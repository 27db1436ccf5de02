"""Kendall's rank correlation with its bootstrap interval."""

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy
from jaxtyping import Float

# Resamples of the bootstrap: ends of 95 % intervals are then quantiles of 25 resamples.
_RESAMPLES = 1000
# Of more networks than `_MATRIX`, whose pairs would take 32 MB a matrix and more, few resamples, one by one.
_FEW = 100
_MATRIX = 2000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tau:
    """Kendall's tau-b, with the 2.5 % .. 97.5 % percentile bootstrap over networks.

    Attributes:
        tau: -1..1; NaN where one of the rankings is constant.
        low: lower end.
        high: upper end.
        networks: how many were ranked.
    """

    tau: float
    low: float
    high: float
    networks: int

    def __str__(self) -> str:
        return f"{self.tau:.2f} (95 % {self.low:.2f} .. {self.high:.2f}, {self.networks} networks)"


def kendall(predicted: Float[np.ndarray, " n"], measured: Float[np.ndarray, " n"], *, rng: np.random.Generator) -> Tau:
    """Tau-b of two rankings with its interval.

    Example:
        >>> kendall(np.arange(9.0), np.arange(9.0) ** 2, rng=np.random.default_rng(0)).tau
        1.0
    """
    tau = float(scipy.stats.kendalltau(predicted, measured).statistic) if len(predicted) > 1 else float("nan")
    resampled = resampled_taus(predicted[None], measured, rng=rng)[0]
    finite = resampled[np.isfinite(resampled)]
    if not np.isfinite(tau) or not len(finite):
        return Tau(tau=float("nan"), low=float("nan"), high=float("nan"), networks=len(predicted))
    low, high = np.quantile(finite, [0.025, 0.975])
    return Tau(tau=tau, low=float(low), high=float(high), networks=len(predicted))


def resampled_taus(
    predicted: Float[np.ndarray, "p n"], measured: Float[np.ndarray, " n"], *, rng: np.random.Generator
) -> Float[np.ndarray, "p resamples"]:
    """Tau-b of several rankings with one measured one, over the same resamples of networks; NaN where undefined.

    Up to 2,000 networks by counts of pairs, which gives all resamples at once; above, fewer resamples one by one.
    """
    n = len(measured)
    if n > _MATRIX:
        rows = rng.integers(0, n, (_FEW, n))
        return np.array(
            [[scipy.stats.kendalltau(one[row], measured[row]).statistic for row in rows] for one in predicted]
        )
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=_RESAMPLES).astype(np.float64)
    target = np.sign(measured[:, None] - measured[None, :])
    untied = _pairs(counts, np.abs(target))
    taus = np.empty((len(predicted), _RESAMPLES))
    for row, one in enumerate(predicted):
        order = np.sign(one[:, None] - one[None, :])
        scale = np.sqrt(_pairs(counts, np.abs(order)) * untied)
        agreeing = _pairs(counts, order * target)
        taus[row] = np.divide(agreeing, scale, out=np.full(_RESAMPLES, np.nan), where=scale > 0)
    return taus


def _pairs(counts: Float[np.ndarray, "r n"], matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " r"]:
    """Per resample the sum of `matrix` over its pairs of networks."""
    total: np.ndarray = ((counts @ matrix) * counts).sum(axis=1)
    return total
