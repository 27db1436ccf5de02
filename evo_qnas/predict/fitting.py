"""Predictors by name."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.cards import nearest
from evo_qnas.errors import PredictorError
from evo_qnas.predict.ensemble import Ensemble
from evo_qnas.predict.features import Features
from evo_qnas.predict.gaussian import Gaussian
from evo_qnas.predict.kernels import MENUS
from evo_qnas.predict.predictor import Predictor
from evo_qnas.predict.sums import Affine, Monotone

PREDICTORS: Mapping[str, str] = MappingProxyType(
    {
        "sum": "the sum of scores, nothing learnt but its unit",
        "monotone": "a rising curve of the sum of scores (isotonic regression)",
        "ridge": "ridge on sums, scores per block and choices; shrinkage and scale by leaving one out",
        "pairwise": "ridge with terms of neighbouring blocks, or of all pairs",
        "process": "Gaussian process over whole networks",
        "kernel": "the best of ridge, pairwise and process by the density of what is left out",
        "ensemble": "three of each of ridge, pairwise and process on random 80 % of what was measured",
    }
)
# A line needs two points.
_LEAST = 2


def fit_predictor(
    kind: str,
    features: Features,
    genes: Int[np.ndarray, "k genes"],
    values: Float[np.ndarray, " k"],
    *,
    rng: np.random.Generator,
) -> Predictor:
    """The predictor called `kind`, fitted to measured networks.

    Args:
        kind: a name of `PREDICTORS`.
        features: of the networks.
        genes: measured networks, no two the same.
        values: what was measured, all finite, less is better (the sum of scores is taken to rise with it).
        rng: for the parts of an ensemble.

    Raises:
        PredictorError: there is no such kind, fewer than two networks were measured, or the kind needs a score and the
            features have none.
    """
    if kind not in PREDICTORS:
        raise PredictorError(f"there is no predictor {kind!r}; {nearest(kind, list(PREDICTORS))}")
    if len(genes) < _LEAST or not np.isfinite(values).all():
        raise PredictorError(f"a predictor needs {_LEAST} finite measured values at least, got {len(genes)} networks")
    if kind == "sum":
        return Affine.fit(features, genes, values)
    if kind == "monotone":
        return Monotone.fit(features, genes, values)
    if kind == "ensemble":
        return Ensemble.fit(features, genes, values, rng=rng)
    return Gaussian.fit(features, genes, values, kernels=MENUS[kind])
