"""The exact front as a search: its genomes are asked for once, and are the answer."""

from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import exact_front
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext


@final
class Exact(Optimizer):
    """Asks once for the genomes of the exact front, then for nothing."""

    def __init__(self, front: Int[np.ndarray, "n genes"]) -> None:
        self._front = front
        self._size = len(front)

    @property
    def least_evaluations(self) -> int:
        """The size of the front."""
        return self._size

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The front, once."""
        front, self._front = self._front, self._front[:0]
        return front

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Needs to know nothing."""


@final
class ExactAlgorithm(Algorithm):
    """`exact`: no search at all."""

    about = "the true front by merging sums, for additive objectives and limits"
    reduces = False
    complete = True

    def make(self, context: SearchContext) -> Exact:
        """The exact front of the problem.

        Raises:
            ProblemError: an objective or limit is no sum over the blocks.
            InfeasibleError: no network meets the limits.
        """
        return Exact(context.problem.space.encode(exact_front(context.problem).genomes))
