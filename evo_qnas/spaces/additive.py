"""The additive form of a problem: every objective and limit is an offset plus one number per gene."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.spaces.limits import LimitSide
from evo_qnas.spaces.space import Space


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Additive:
    """Objectives and limits as sums over genes, what exact fronts, bounds and weighted-sum seeds work on.

    Objective `i` of gene values `x` is `offset[i] + sum_g objectives[g][x[g], i]`, minimised; limit `j` holds where
    `sum_g limits[g][x[g], j] <= bounds[j]` (fixed costs already taken off the bound, lower limits negated).

    Attributes:
        space: the genes these sums run over.
        objectives: per gene (options, m) float64.
        offset: (m,) float64.
        limits: per gene (options, k) float64, in the order of the problem's constraints; k may be 0.
        bounds: (k,) float64.
        limit_names: the limits' texts, for messages.
        limit_sides: (k,) what the limits were stated as, for messages in the quantities' own numbers; empty where they
            are known as excesses alone.
    """

    space: Space
    objectives: tuple[Float[np.ndarray, "_ m"], ...]
    offset: Float[np.ndarray, " m"]
    limits: tuple[Float[np.ndarray, "_ k"], ...]
    bounds: Float[np.ndarray, " k"]
    limit_names: tuple[str, ...]
    limit_sides: tuple[LimitSide, ...] = ()

    def sums(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives `(n, m)` and limit excesses `(n, k)` (feasible where <= 0) of gene values."""
        objectives = np.tile(self.offset, (len(genes), 1))
        excess = np.tile(-self.bounds, (len(genes), 1))
        for index, (values, limits) in enumerate(zip(self.objectives, self.limits, strict=True)):
            objectives += values[genes[:, index]]
            excess += limits[genes[:, index]]
        return objectives, excess
