"""Monotone changes of scale under which measured values are nearer to a sum of independent influences."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

# Distances of floors and ceilings from the values, in ranges of the values. Chosen, not measured.
_SHIFTS = (0.01, 0.03, 0.1, 0.3)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Warp:
    """A logarithm above a floor or below a ceiling, or nothing, then scaled to mean 0 and variance 1.

    Attributes:
        side: 1 above a floor, -1 below a ceiling, 0 no logarithm.
        bound: the floor or ceiling.
        middle: mean after the logarithm.
        spread: standard deviation after the logarithm.
        gain: sum over the fitted values of the logarithm of the change of scale, for comparing densities.
    """

    side: int
    bound: float
    middle: float
    spread: float
    gain: float

    def __call__(self, values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Values in the new scale."""
        return (self._bent(values) - self.middle) / self.spread

    def _bent(self, values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        if not self.side:
            return values
        bent: np.ndarray = self.side * np.log(np.maximum(self.side * (values - self.bound), np.finfo(np.float64).tiny))
        return bent

    def back(self, warped: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Values in their own scale."""
        bent = warped * self.spread + self.middle
        if not self.side:
            return bent
        # What a draw may reach stays finite.
        return self.bound + self.side * np.exp(np.minimum(self.side * bent, 700.0))


def warps(values: Float[np.ndarray, " n"]) -> list[Warp]:
    """Scales to choose from for these values: none, and logarithms with several floors and ceilings.

    Source: Box & Cox 1964, the shifted logarithm; Snelson et al. 2003, warped Gaussian processes.
    """
    low, high, span = float(values.min()), float(values.max()), float(np.ptp(values))
    bounds = [(1, low - shift * span) for shift in _SHIFTS] + [(-1, high + shift * span) for shift in _SHIFTS]
    scales = []
    for side, bound in [(0, 0.0), *(bounds if span > 0 else [])]:
        plain = Warp(side=side, bound=bound, middle=0.0, spread=1.0, gain=0.0)
        bent = plain(values)
        spread = float(bent.std())
        spread = spread if spread > 0 else 1.0
        slope = 0.0 if not side else -float(np.log(side * (values - bound)).sum())
        scales.append(
            Warp(
                side=side,
                bound=bound,
                middle=float(bent.mean()),
                spread=spread,
                gain=slope - len(values) * float(np.log(spread)),
            )
        )
    return scales
