"""The interface of a predictor that was fitted to measured networks."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float, Int


class Predictor(ABC):
    """Predicts one number of a network, with its standard deviation.

    Contract: predictions are a function of the gene values and of the networks that the predictor was fitted to; draws
    depend on the generator besides. Values are in the unit of the measured ones.
    """

    @abstractmethod
    def predict(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Predicted value and standard deviation of each network's own value around it; both `(n,)` float64."""

    @abstractmethod
    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool = True
    ) -> Float[np.ndarray, "count n"]:
        """Draws of the values: `count` of them, each of all networks.

        Args:
            rng: draws.
            genes: the networks.
            count: how many draws.
            joint: the networks of one draw err together as they would; costs (n, n) memory.
        """
