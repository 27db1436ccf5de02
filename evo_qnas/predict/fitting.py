"""Predictors by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

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

# From features, genes, values and a generator to a fitted predictor.
Fit = Callable[[Features, np.ndarray, np.ndarray, np.random.Generator], Predictor]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorKind:
    """A kind of predictor; entry of `KINDS`.

    Attributes:
        about: one line.
        fit: makes one of measured networks.
        needs_score: the features must have sums.
        keeps_order: networks are ranked the same whatever was measured, so that cross-validation fits once.
        automatic: among those that are chosen from where no kind is named.
    """

    about: str
    fit: Fit
    needs_score: bool = False
    keeps_order: bool = False
    automatic: bool = True


def _gaussian(name: str) -> Fit:
    return lambda features, genes, values, _: Gaussian.fit(features, genes, values, kernels=MENUS[name])


# From simple to involved: of those that do not differ from the best, the first is chosen.
KINDS: Mapping[str, PredictorKind] = MappingProxyType(
    {
        "sum": PredictorKind(
            about="the sum of scores, nothing learnt but its unit",
            fit=lambda features, genes, values, _: Affine.fit(features, genes, values),
            needs_score=True,
            keeps_order=True,
        ),
        "monotone": PredictorKind(
            about="a rising curve of the sum of scores (isotonic regression)",
            fit=lambda features, genes, values, _: Monotone.fit(features, genes, values),
            needs_score=True,
        ),
        "ridge": PredictorKind(
            about="ridge on sums, scores per block and choices; shrinkage and scale by leaving one out",
            fit=_gaussian("ridge"),
        ),
        "pairwise": PredictorKind(
            about="ridge with terms of neighbouring blocks, or of all pairs", fit=_gaussian("pairwise")
        ),
        "process": PredictorKind(about="Gaussian process over whole networks", fit=_gaussian("process")),
        "kernel": PredictorKind(
            about="the best of ridge, pairwise and process by the density of what is left out",
            fit=_gaussian("kernel"),
            automatic=False,
        ),
        "ensemble": PredictorKind(
            about="three of each of ridge, pairwise and process on random 80 % of what was measured",
            fit=lambda features, genes, values, rng: Ensemble.fit(features, genes, values, rng=rng),
        ),
    }
)
PREDICTORS: Mapping[str, str] = MappingProxyType({name: kind.about for name, kind in KINDS.items()})
SIMPLEST_FIRST: tuple[str, ...] = tuple(name for name, kind in KINDS.items() if kind.automatic)
# A line needs two points.
_LEAST = 2


def kind_of(name: str) -> PredictorKind:
    """The kind called `name`.

    Raises:
        PredictorError: there is none.
    """
    if name not in KINDS:
        raise PredictorError(f"there is no predictor {name!r}; {nearest(name, list(KINDS))}")
    return KINDS[name]


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
    entry = kind_of(kind)
    if len(genes) < _LEAST or not np.isfinite(values).all():
        raise PredictorError(f"a predictor needs {_LEAST} finite measured values at least, got {len(genes)} networks")
    return entry.fit(features, genes, values, rng)
