"""Known and predicted values of networks that were not evaluated."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from evo_qnas.predict import Predictor
from evo_qnas.problem import Problem
from evo_qnas.spaces import Space

# A spread of zero must not divide; far below any spread that means something.
_LEAST_SPREAD = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class Known:
    """The values of networks that a problem knows without evaluating them.

    Attributes:
        problem: the problem.
        space: what gene values mean.
    """

    problem: Problem
    space: Space

    def values(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives (minimised) and excesses over limits, NaN where only an evaluation tells."""
        return self.problem.known(self.space.decode(genes))

    @cached_property
    def _example(self) -> tuple[np.ndarray, np.ndarray]:
        return self.values(np.zeros((1, len(self.space.genes)), dtype=np.int64))

    @property
    def objectives(self) -> Bool[np.ndarray, " m"]:
        """(m,) which objectives are known."""
        known: np.ndarray = np.isfinite(self._example[0][0])
        return known

    @property
    def all_limits(self) -> bool:
        """True where every limit is known."""
        return bool(np.isfinite(self._example[1]).all())


@final
@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Predictions of all objectives and of the limits.

    Attributes:
        known: the part that needs no prediction.
        models: per objective the predictor; None where it is known.
        limits: predicts -1 for networks within the unknown limits and 1 for others; None where nothing is unknown.
    """

    known: Known
    models: tuple[Predictor | None, ...]
    limits: Predictor | None

    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool
    ) -> Float[np.ndarray, "count n m"]:
        """Draws of the objectives of networks; known ones are the same in every draw."""
        values = np.tile(self.known.values(genes)[0], (count, 1, 1))
        for column, model in enumerate(self.models):
            if model is not None:
                values[:, :, column] = model.draws(rng, genes, count, joint=joint)
        return values

    def confidence_bound(
        self, genes: Int[np.ndarray, "n genes"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, " n"]]:
        """Objectives at their lower confidence bound, and the violation of limits, 0 where all may be met.

        The bound lies one standard deviation below the mean.
        """
        values, excess = self.known.values(genes)
        for column, model in enumerate(self.models):
            if model is not None:
                middle, spread = model.predict(genes)
                values[:, column] = middle - spread
        violation = np.maximum(np.nan_to_num(excess), 0.0).sum(axis=1)
        return values, violation + np.maximum(0.5 - self.chance(genes), 0.0)

    def chance(self, genes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, " n"]:
        """(n,) 0..1: the chance of meeting all limits; 0 or 1 where they are known."""
        excess = self.known.values(genes)[1]
        sure: np.ndarray = (np.nan_to_num(excess) <= 0).all(axis=1).astype(np.float64)
        if self.limits is None:
            return sure
        middle, spread = self.limits.predict(genes)
        chance: np.ndarray = sure * scipy.special.ndtr(-middle / np.maximum(spread, _LEAST_SPREAD))
        return chance
