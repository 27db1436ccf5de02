"""From latencies of blocks to those of whole networks: a fit on networks that were measured."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy
from jaxtyping import Float

from evo_qnas.errors import TableError

LEAST_AFFINE, LEAST_RIDGE = 4, 40
_STRENGTHS = tuple(10.0 ** (power / 2) for power in range(-6, 7))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The agreement of predicted and measured latencies of networks.

    Attributes:
        error: mean of `|predicted - measured| / measured`.
        kendall_tau: of the two rankings, NaN where one is constant.
        networks: how many.
    """

    error: float
    kendall_tau: float
    networks: int

    @classmethod
    def of(cls, predicted: Float[np.ndarray, " n"], measured: Float[np.ndarray, " n"]) -> "Agreement":
        """Of predictions and measurements of the same networks."""
        error = float(np.mean(np.abs(predicted - measured) / measured)) if len(measured) else float("nan")
        tau = float(scipy.stats.kendalltau(predicted, measured).statistic) if len(measured) > 1 else float("nan")
        return cls(error=error, kendall_tau=tau, networks=len(measured))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A network's latency as `fixed + sum of factors * latencies of its blocks`.

    Attributes:
        model: `proportional` (one factor for all blocks, nothing fixed), `affine`, or `ridge` (a factor for each block,
            drawn towards a common one).
        fixed: what the fixed part and every network's start add.
        factors: (blocks,) at least 0.
        left_out: agreement on the fitted networks, each predicted by a fit without it.
    """

    model: str
    fixed: float
    factors: Float[np.ndarray, " blocks"]
    left_out: Agreement

    def predict(self, parts: Float[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
        """(n,) latencies of networks from those of their blocks."""
        predicted: np.ndarray = parts @ self.factors + self.fixed
        return predicted


def calibrate(parts: Float[np.ndarray, "n blocks"], measured: Float[np.ndarray, " n"]) -> Calibration:
    """The fit that predicts left-out networks with the least mean relative error.

    Least squares of relative errors: a multiple of the plain sum, an affine function of it, and from 40 networks on
    also a factor for each block, its difference from the common factor held back by ridge penalties of 13 strengths.
    Fits with a negative factor or fixed part are left out: they would not be costs.

    Args:
        parts: latencies of each network's blocks, in ms or any other unit.
        measured: latencies of the whole networks, above 0.

    Raises:
        TableError: fewer than 4 networks, or latencies that are no positive numbers.

    Example:
        >>> parts = np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 1.0], [1.0, 1.0]])
        >>> found = calibrate(parts, 0.5 + 1.5 * parts.sum(axis=1))
        >>> found.model, round(found.fixed, 6), found.factors.round(6).tolist()
        ('affine', 0.5, [1.5, 1.5])
    """
    if len(measured) < LEAST_AFFINE:
        raise TableError(f"{len(measured)} measured networks calibrate nothing: take at least {LEAST_AFFINE}")
    if not (np.isfinite(parts).all() and np.isfinite(measured).all() and (measured > 0).all() and (parts >= 0).all()):
        raise TableError("latencies to calibrate with must be numbers, of networks above 0 and of blocks at least 0")
    fits = [fit for fit in _fits(parts, measured) if fit.fixed >= 0 and (fit.factors >= 0).all()]
    if not fits:
        raise TableError("the measured networks do not grow with the sum of their blocks: measure them again")
    return min(fits, key=lambda fit: fit.left_out.error)


def _fits(parts: Float[np.ndarray, "n blocks"], measured: Float[np.ndarray, " n"]) -> Iterator[Calibration]:
    """The simplest fit first."""
    total, one = parts.sum(axis=1, keepdims=True), np.ones((len(parts), 1))
    count = parts.shape[1]
    yield _fit("proportional", total, measured, np.zeros(1), count=count, constant=False)
    yield _fit("affine", np.hstack([one, total]), measured, np.zeros(2), count=count)
    if len(measured) < LEAST_RIDGE:
        return
    # A factor's difference counts by what it does to a typical network.
    scales = np.maximum(parts.mean(axis=0), 1e-12)
    design = np.hstack([one, total, parts])
    for strength in _STRENGTHS:
        penalty = np.concatenate([[0.0, 0.0], strength * (scales / np.mean(measured)) ** 2])
        yield _fit("ridge", design, measured, penalty, count=count)


def _fit(
    model: str,
    design: Float[np.ndarray, "n k"],
    measured: Float[np.ndarray, " n"],
    penalty: Float[np.ndarray, " k"],
    *,
    count: int,
    constant: bool = True,
) -> Calibration:
    """Ridge on relative errors, with the exact leave-one-out predictions of linear smoothers.

    Source: Allen 1974, PRESS; the residual of a left-out row is that of the whole fit divided by 1 - leverage.
    """
    weighted = design / measured[:, None]
    inverse = np.linalg.pinv(weighted.T @ weighted + np.diag(penalty))
    solution = inverse @ weighted.sum(axis=0)
    leverage = np.einsum("ij,jk,ik->i", weighted, inverse, weighted)
    residual = (1.0 - weighted @ solution) / np.maximum(1.0 - leverage, 1e-9)
    first = 1 if constant else 0
    common, own = solution[first], solution[first + 1 :]
    return Calibration(
        model=model,
        fixed=float(solution[0]) if constant else 0.0,
        factors=np.full(count, common) + (own if len(own) else 0.0),
        left_out=Agreement.of(measured * (1.0 - residual), measured),
    )
