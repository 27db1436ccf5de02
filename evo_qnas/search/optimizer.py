"""The interface of a search algorithm: ask for gene values, tell what they are worth."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float, Int


class Optimizer(ABC):
    """A search algorithm as two functions.

    Contract: the gene values asked for depend on the constructor's arguments (its generator included) and on what was
    told, and on nothing else: not on time, worker count, or the number of evaluations to come. Resuming relies on it.
    """

    @abstractmethod
    def ask(self) -> Int[np.ndarray, "n genes"]:
        """Gene values to evaluate next; no row ends the search. Rows known already cost no evaluation."""

    @abstractmethod
    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Takes the values of the rows last asked for, in their order.

        Args:
            genes: what `ask` returned.
            objectives: all to be minimised; +inf in every column where the evaluation failed.
            violation: 0 where every limit is met, else how far off in all; +inf where the evaluation failed.
        """
