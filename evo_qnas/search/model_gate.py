"""The moment from which a linear model may make children: judged by networks that it was not fitted to."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GateTuning:
    """Numbers of `ModelGate`, chosen on problems drawn from other seeds than those of `problems/suite.toml`.

    Ten populations of variation alone find structure that a linear model cannot know, on traps above all; a model that
    starts at once draws the population to where it is linear, and never sees the rest.

    Attributes:
        populations: populations of evaluations before the model makes any child.
        fit: least share of the variance of each objective that predictions must explain.
        memory: weight of the earlier generations in that share.
        fewest: rows of a generation from which a share is worked out.
    """

    populations: int = 10
    fit: float = 0.7
    memory: float = 0.7
    fewest: int = 10


_TUNING = GateTuning()


@final
class ModelGate:
    """Open while a model predicts bred children that it was not fitted to, and enough was evaluated without it."""

    def __init__(self, population: int) -> None:
        self._after = _TUNING.populations * population
        self._fit: float | None = None

    @property
    def fit(self) -> float | None:
        """The running mean of what predictions explain, 0 .. 1; None before the first."""
        return self._fit

    def is_open(self, evaluated: int) -> bool:
        """True where the model may make children after so many evaluations."""
        return self._fit is not None and self._fit >= _TUNING.fit and evaluated >= self._after

    def judge(self, predicted: Float[np.ndarray, "n m"], objectives: Float[np.ndarray, "n m"]) -> None:
        """Takes in how well predictions hold.

        Args:
            predicted: by a model that was not fitted to these rows.
            objectives: what came out; rows with a value that is not finite are left out.
        """
        sound = np.isfinite(objectives).all(axis=1)
        if sound.sum() < _TUNING.fewest:
            return
        share = min(explained(predicted[sound], objectives[sound]).tolist())
        self._fit = share if self._fit is None else _TUNING.memory * self._fit + (1.0 - _TUNING.memory) * share


def explained(predicted: Float[np.ndarray, "n m"], objectives: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """The shares of the variance of each objective that predictions explain, 0 where they are worse than the mean.

    Of an objective that does not vary: 1 where it is predicted without an error.

    Example:
        >>> explained(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]])).tolist()
        [0.5]
    """
    error = ((objectives - predicted) ** 2).sum(axis=0)
    variance = ((objectives - objectives.mean(axis=0)) ** 2).sum(axis=0)
    shares: np.ndarray = np.clip(1.0 - error / np.where(variance > 0, variance, 1.0), 0.0, 1.0)
    return np.where((variance == 0) & (error > 0), 0.0, shares)
