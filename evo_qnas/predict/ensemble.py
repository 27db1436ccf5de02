"""A small ensemble: predictors of several kinds, each fitted to another part of the measured networks."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.predict.features import Features
from evo_qnas.predict.gaussian import Gaussian
from evo_qnas.predict.kernels import MENUS
from evo_qnas.predict.predictor import Predictor

# Kinds, members of each, and the share of the networks and least number of them that a member is fitted to. Chosen, not
# measured one by one: `benchmarks/rank_correlation.py` measures the whole.
_KINDS = ("ridge", "pairwise", "process")
_EACH = 3
_SHARE = 0.8
_LEAST = 4


@final
@dataclass(frozen=True, kw_only=True)
class Ensemble(Predictor):
    """Predicts the mean of its members; they differ where too little was measured.

    Attributes:
        members: fitted to parts of the measured networks.

    Source: Bühlmann & Yu 2002 (subagging): parts without repetition, because leaving one out would not notice copies.
    """

    members: tuple[Gaussian, ...]

    @classmethod
    def fit(
        cls,
        features: Features,
        genes: Int[np.ndarray, "k genes"],
        values: Float[np.ndarray, " k"],
        *,
        rng: np.random.Generator,
    ) -> "Ensemble":
        """Three members of each kind, each fitted to a random 80 % of the networks."""
        size = min(len(genes), max(_LEAST, int(np.ceil(_SHARE * len(genes)))))
        parts = [(kind, rng.permutation(len(genes))[:size]) for kind in _KINDS * _EACH]
        return cls(
            members=tuple(
                Gaussian.fit(features, genes[part], values[part], kernels=MENUS[kind]) for kind, part in parts
            )
        )

    def predict(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """See `Predictor.predict`."""
        middles, spreads = (np.stack(each) for each in zip(*(m.predict(genes) for m in self.members), strict=True))
        return middles.mean(axis=0), np.sqrt(middles.var(axis=0) + (spreads**2).mean(axis=0))

    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool = True
    ) -> Float[np.ndarray, "count n"]:
        """See `Predictor.draws`: of the members in turn."""
        values = np.empty((count, len(genes)))
        for start, member in enumerate(self.members):
            rows = np.arange(start, count, len(self.members))
            if len(rows):
                values[rows] = member.draws(rng, genes, len(rows), joint=joint)
        return values
