"""The interface of a running search: ask for gene values, tell their objectives."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float, Int


class Optimizer(ABC):
    """A search algorithm as two functions.

    Contract: the gene values asked for depend on the constructor's arguments (its generator included) and on the
    values told, and on nothing else: not on time, worker count, other generators, or the number of evaluations to come.
    Resuming relies on it. Arrays handed in stay unchanged.
    """

    @property
    def least_evaluations(self) -> int:
        """Evaluations that the search makes whatever its budget; 0 unless the algorithm knows its answer beforehand."""
        return 0

    @property
    def stop_reason(self) -> str:
        """The reason of an `ask` without rows, a phrase; empty where nothing is left to try."""
        return ""

    @property
    def takes_others(self) -> bool:
        """True where `tell` also takes rows that were not asked for, behind those that were; False by default."""
        return False

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

    def tell_with_limits(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
        excess: Float[np.ndarray, "n k"],
    ) -> None:
        """What a search calls: `tell`, for algorithms that handle limits one by one with each limit's excess.

        Args:
            genes: what `ask` returned.
            objectives: see `tell`.
            violation: see `tell`.
            excess: of each constraint, met where <= 0; +inf where the evaluation failed.
        """
        self.tell(genes, objectives, violation)
