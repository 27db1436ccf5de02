"""Weighted sums: their optima over an additive problem, and even sweeps of weights."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.spaces import Additive


def weighted_sum_optima(
    additive: Additive, weights: Float[np.ndarray, "w m"], *, among: Sequence[Int[np.ndarray, " _"]] | None = None
) -> Int[np.ndarray, "w genes"]:
    """Gene values that minimise each weighted sum of the objectives, limits left aside; `(w, genes)` int64.

    The sum falls apart into one choice per gene, so each optimum is exact. Of equal options the first is taken; one
    with NaN or infinity only where its gene has no other.

    Args:
        additive: the sums.
        weights: (w, m) float64, one row per weighted sum.
        among: per gene the options that may be taken; None for all.
    """
    genes = np.empty((len(weights), len(additive.objectives)), dtype=np.int64)
    for index, every in enumerate(additive.objectives):
        values = every if among is None else every[among[index]]
        usable = np.isfinite(values).all(axis=1)
        scores = np.where(usable[:, None], np.where(usable[:, None], values, 0.0) @ weights.T, np.inf)
        best = scores.argmin(axis=0)
        genes[:, index] = best if among is None else among[index][best]
    return genes


def weight_sweep(m: int, divisions: int) -> Float[np.ndarray, "w m"]:
    """All weights with `divisions` equal steps on the simplex, corners included; `(w, m)`, each row sums to 1.

    Source: Das and Dennis 1998.

    Example:
        >>> weight_sweep(2, 2).tolist()
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    rows = np.zeros((1, 0), dtype=np.int64)
    for _ in range(m - 1):
        left = divisions - rows.sum(axis=1)
        repeated = np.repeat(rows, left + 1, axis=0)
        steps = np.concatenate([np.arange(most + 1) for most in left])
        rows = np.column_stack([repeated, steps])
    return np.column_stack([rows, divisions - rows.sum(axis=1)]) / divisions
