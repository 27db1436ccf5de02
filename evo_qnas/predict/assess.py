"""Cross-validation of predictors by their ranking of networks, and the choice among them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import PredictorError
from evo_qnas.predict.features import Features
from evo_qnas.predict.fitting import KINDS, SIMPLEST_FIRST, fit_predictor, kind_of
from evo_qnas.predict.predictor import Predictor
from evo_qnas.predict.rank import Tau, kendall, resampled_taus

logger = logging.getLogger(__name__)

# Chosen, not measured.
_FOLDS = 10
# Fewer measured networks are too few for an interval of a rank correlation. Chosen, not measured.
_LEAST = 8
# An interval of Kendall's tau wider than this tells too little. Chosen, not measured.
_WIDE = 0.4


@final
@dataclass(frozen=True, kw_only=True)
class Assessment:
    """A kind of predictor under cross-validation.

    Attributes:
        kind: a name of `PREDICTORS`.
        tau: Kendall's tau between measured values and those predicted by fits without the network.
        predicted: (n,) float64, the predicted values.
    """

    kind: str
    tau: Tau
    predicted: Float[np.ndarray, " n"]

    def __str__(self) -> str:
        return f"{self.kind}: cross-validated Kendall tau {self.tau}"


@final
@dataclass(frozen=True, kw_only=True)
class Choice:
    """The predictor that was chosen, fitted to all measured networks.

    Attributes:
        kind: its name.
        predictor: fitted.
        assessments: of all kinds that were tried, from simple to involved.
        warning: one sentence where the measured networks are too few to tell, else empty.
    """

    kind: str
    predictor: Predictor
    assessments: tuple[Assessment, ...]
    warning: str

    @property
    def tau(self) -> Tau:
        """Cross-validated, of the chosen kind."""
        return next(each.tau for each in self.assessments if each.kind == self.kind)


def assess(
    kind: str,
    features: Features,
    genes: Int[np.ndarray, "n genes"],
    values: Float[np.ndarray, " n"],
    *,
    seed: int = 0,
    folds: int = _FOLDS,
) -> Assessment:
    """Cross-validated Kendall tau of a kind of predictor, with its bootstrap interval over networks.

    Args:
        kind: a name of `PREDICTORS`.
        features: of the networks.
        genes: measured networks, no two the same.
        values: what was measured, less is better.
        seed: of folds, ensembles and resamples; folds and resamples are the same for every kind.
        folds: parts, each predicted by a fit to the others.

    Raises:
        PredictorError: fewer than four networks, or see `fit_predictor`.
    """
    if len(genes) < 4:
        raise PredictorError(f"cross-validation needs four measured networks at least, got {len(genes)}")
    part = np.random.default_rng(seed).permutation(len(genes)) % min(folds, len(genes))
    predicted = np.empty(len(genes))
    if kind_of(kind).keeps_order:
        # Nothing that is fitted changes its order, but a line for each part would.
        part = np.zeros_like(part)
        predicted = fit_predictor(kind, features, genes, values, rng=np.random.default_rng(seed)).predict(genes)[0]
    else:
        for fold in range(int(part.max()) + 1):
            out = part == fold
            rng = np.random.default_rng([seed, fold])
            fitted = fit_predictor(kind, features, genes[~out], values[~out], rng=rng)
            predicted[out] = fitted.predict(genes[out])[0]
    return Assessment(
        kind=kind, tau=kendall(predicted, values, rng=np.random.default_rng([seed, folds])), predicted=predicted
    )


def choose(
    features: Features,
    genes: Int[np.ndarray, "n genes"],
    values: Float[np.ndarray, " n"],
    *,
    kinds: Sequence[str] | None = None,
    seed: int = 0,
) -> Choice:
    """The simplest kind of predictor that is within one standard error of the best in cross-validation.

    The standard error is that of the difference of two kinds' taus, over the same resamples of networks.

    Args:
        features: of the networks.
        genes: measured networks, no two the same.
        values: what was measured, less is better.
        kinds: to choose from; None takes all that the features allow.
        seed: of folds, ensembles and resamples.

    Raises:
        PredictorError: see `assess`.
    """
    candidates = kinds or [kind for kind in SIMPLEST_FIRST if features.sums or not KINDS[kind].needs_score]
    if len(genes) < _LEAST:
        kind = candidates[0]
        fitted = fit_predictor(kind, features, genes, values, rng=np.random.default_rng(seed))
        none = Tau(tau=float("nan"), low=float("nan"), high=float("nan"), networks=len(genes))
        tried: tuple[Assessment, ...] = (Assessment(kind=kind, tau=none, predicted=np.full(len(genes), np.nan)),)
        warning = f"{len(genes)} measured networks are too few to judge a predictor by, {_LEAST} are the least"
    else:
        tried = tuple(assess(kind, features, genes, values, seed=seed) for kind in candidates)
        kind, warning = _simplest(tried, values, seed)
        fitted = fit_predictor(kind, features, genes, values, rng=np.random.default_rng(seed))
    if warning:
        logger.warning("%s", warning)
    return Choice(kind=kind, predictor=fitted, assessments=tried, warning=warning)


def _simplest(tried: Sequence[Assessment], values: Float[np.ndarray, " n"], seed: int) -> tuple[str, str]:
    """The kind to take, and a warning where the networks are too few to tell."""
    taus = np.array([each.tau.tau if np.isfinite(each.tau.tau) else -1.0 for each in tried])
    best = int(taus.argmax())
    resampled = np.nan_to_num(
        resampled_taus(np.stack([each.predicted for each in tried]), values, rng=np.random.default_rng([seed, 1]))
    )
    behind = resampled[best] - resampled
    near = taus[best] - taus <= behind.std(axis=1)
    chosen = int(np.flatnonzero(near)[0])
    tau = tried[chosen].tau
    if not np.isfinite(tau.tau) or tau.high - tau.low > _WIDE:
        return tried[chosen].kind, (
            f"{len(values)} measured networks are too few to tell how well networks are ranked: "
            f"Kendall tau of {tried[chosen].kind!r} is {tau.tau:.2f}, between {tau.low:.2f} and {tau.high:.2f} (95 %)"
        )
    low, high = np.quantile(behind[0], [0.025, 0.975])
    if best != 0 and low <= 0:
        return tried[chosen].kind, (
            f"{len(values)} measured networks are too few to tell {tried[best].kind!r} from {tried[0].kind!r}: "
            f"the difference of their Kendall taus is between {low:.2f} and {high:.2f} (95 %)"
        )
    return tried[chosen].kind, ""
