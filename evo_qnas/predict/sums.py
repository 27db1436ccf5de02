"""Predictors of the sum of scores alone."""

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy
from jaxtyping import Float, Int

from evo_qnas.errors import PredictorError
from evo_qnas.predict.features import Features
from evo_qnas.predict.predictor import Predictor

# Slope, in ranges of values over ranges of sums, below which no curve falls: far below what anyone measures.
_LEAST_SLOPE = 1e-9


@final
@dataclass(frozen=True, kw_only=True)
class Affine(Predictor):
    """The sum of scores, moved and stretched to the measured values; its order is always the sum's.

    Attributes:
        features: whose first column is summed.
        slope: positive.
        offset: value at a sum of 0.
        spread: standard deviation of the measured values around it.
    """

    features: Features
    slope: float
    offset: float
    spread: float

    @classmethod
    def fit(cls, features: Features, genes: Int[np.ndarray, "k genes"], values: Float[np.ndarray, " k"]) -> "Affine":
        """The least-squares line, or a flat one that still rises where the measured values fall with the sum.

        Raises:
            PredictorError: the features have no sums.
        """
        total = score_of(features, genes)
        varies = float(total.var())
        slope = float(np.cov(total, values, bias=True)[0, 1]) / varies if varies > 0 else 1.0
        slope = max(slope, _LEAST_SLOPE * max(float(np.ptp(values)), 1.0) / max(float(np.ptp(total)), 1e-300))
        offset = float(values.mean()) - slope * float(total.mean())
        left = values - (slope * total + offset)
        spread = float(np.sqrt((left**2).sum() / max(1, len(values) - 2)))
        return cls(features=features, slope=slope, offset=offset, spread=spread)

    def predict(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """See `Predictor.predict`."""
        return self.slope * score_of(self.features, genes) + self.offset, np.full(len(genes), self.spread)

    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool = True
    ) -> Float[np.ndarray, "count n"]:
        """See `Predictor.draws`; networks err independently."""
        return _independent(self, rng, genes, count)


@final
@dataclass(frozen=True, kw_only=True)
class Monotone(Predictor):
    """A rising curve of the sum of scores; straight lines between the middles of its steps keep the sum's order.

    Attributes:
        features: whose first column is summed.
        sums: (steps,) rising, the middles of the steps.
        values: (steps,) rising, the steps.
        slope: beyond both ends, and the least anywhere, so that no two sums have equal values.
        spread: standard deviation of the measured values around the curve.

    Source: isotonic regression by pool-adjacent-violators (Barlow et al. 1972); Oron & Flournoy 2017 for the middles.
    """

    features: Features
    sums: Float[np.ndarray, " steps"]
    values: Float[np.ndarray, " steps"]
    slope: float
    spread: float

    @classmethod
    def fit(cls, features: Features, genes: Int[np.ndarray, "k genes"], values: Float[np.ndarray, " k"]) -> "Monotone":
        """The rising curve nearest to the measured values.

        Raises:
            PredictorError: the features have no sums.
        """
        total = score_of(features, genes)
        order = np.argsort(total, kind="stable")
        fitted = scipy.optimize.isotonic_regression(values[order]).x
        steps = np.unique(np.round(fitted, 12), return_inverse=True)[1]
        counts = np.bincount(steps)
        middles = np.bincount(steps, weights=total[order]) / counts
        heights = np.bincount(steps, weights=fitted) / counts
        slope = _LEAST_SLOPE * max(float(np.ptp(values)), 1.0) / max(float(np.ptp(total)), 1e-300)
        curve = cls(features=features, sums=middles, values=heights, slope=slope, spread=0.0)
        left = values - curve.predict(genes)[0]
        spread = float(np.sqrt((left**2).sum() / max(1, len(values) - len(counts))))
        return cls(features=features, sums=middles, values=heights, slope=slope, spread=spread)

    def predict(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """See `Predictor.predict`."""
        total = score_of(self.features, genes)
        curve = np.interp(total, self.sums, self.values) + self.slope * (total - self.sums[0])
        return curve, np.full(len(genes), self.spread)

    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool = True
    ) -> Float[np.ndarray, "count n"]:
        """See `Predictor.draws`; networks err independently."""
        return _independent(self, rng, genes, count)


def _independent(
    predictor: Predictor, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int
) -> Float[np.ndarray, "count n"]:
    """Draws in which every network errs by itself."""
    middle, spread = predictor.predict(genes)
    return middle + spread * rng.standard_normal((count, len(genes)))


def score_of(features: Features, genes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
    """The sum of the first column.

    Raises:
        PredictorError: there is none.
    """
    if not features.sums:
        raise PredictorError("the predictors 'sum' and 'monotone' need tables with a score: choose another kind")
    total: np.ndarray = features.totals(genes)[:, 0]
    return total
