"""The interface of a predictor that was fitted to measured networks."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float, Int


class Predictor(ABC):
    """Foretells one number of a network, with how far it may be off.

    Contract: what is foretold is a function of the gene values and of what the predictor was fitted to; draws depend on
    the generator besides. Values are in the unit of the measured ones.
    """

    @abstractmethod
    def predict(self, genes: Int[np.ndarray, "n genes"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Foretold value and standard deviation of each network's own value around it; both `(n,)` float64."""

    @abstractmethod
    def draws(
        self, rng: np.random.Generator, genes: Int[np.ndarray, "n genes"], count: int, *, joint: bool = True
    ) -> Float[np.ndarray, "count n"]:
        """What the values may be: `count` draws, each of all networks.

        Args:
            rng: draws.
            genes: the networks.
            count: how many draws.
            joint: whether the networks of one draw err together as they would; costs (n, n) memory.
        """
