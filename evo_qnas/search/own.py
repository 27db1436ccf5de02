"""Algorithms of users' own: a class with `ask` and `tell` over genomes."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.outside import checked_genomes
from evo_qnas.arrays import given_array
from evo_qnas.errors import SearchError
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext


@runtime_checkable
class AskTell(Protocol):
    """An algorithm of one's own: a class that is called with `(problem, seed=seed)` and has these two methods.

    `search(problem, algorithm=MyAlgorithm)` makes an object of it for each search. Contract: what is asked for depends
    on the problem, the seed and the values told, and on nothing else; resuming and comparing rely on it.
    """

    def ask(self, n: int) -> Any:
        """Up to about `n` genomes to evaluate next, (rows, blocks) integers; none ends the search."""

    def tell(self, genomes: Any, objectives: Any, constraints: Any) -> None:
        """Takes the values of what `ask` returned, as `Problem.evaluate` gives them.

        Args:
            genomes: (rows, blocks) int64, what `ask` returned.
            objectives: (rows, m) float64, all to be minimised; NaN where the evaluation failed.
            constraints: (rows, k) float64 excesses, met where <= 0; NaN where the evaluation failed.
        """


@final
class OwnOptimizer(Optimizer):
    """An `AskTell` over the gene values of its problem."""

    def __init__(self, own: AskTell, context: SearchContext) -> None:
        self._own = own
        self._space = context.problem.space
        self._population = context.population

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """Gene values of the genomes that the user's object asks for."""
        who = f"{type(self._own).__name__}.ask"
        returned = given_array(self._own.ask(self._population), f"{who}: genomes")
        if not returned.size:
            return np.empty((0, len(self._space.genes)), dtype=np.int64)
        return self._space.encode(checked_genomes(returned, who))

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Hands the values over, the violation in place of the limits."""
        self.tell_with_limits(genes, objectives, violation, violation[:, None])

    def tell_with_limits(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
        excess: Float[np.ndarray, "n k"],
    ) -> None:
        """Hands the values over, NaN where the evaluation failed."""
        failed = ~np.isfinite(objectives).all(axis=1, keepdims=True)
        self._own.tell(
            self._space.decode(genes), np.where(failed, np.nan, objectives), np.where(failed, np.nan, excess)
        )


@final
class OwnAlgorithm(Algorithm):
    """A class of a user's, or whatever makes its objects."""

    reduces = False

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make
        self.about = f"{factory_name(make)}, an algorithm of one's own"

    def make(self, context: SearchContext) -> Optimizer:
        """A new object of the class.

        Raises:
            SearchError: it has no `ask` and `tell`.
        """
        own = self._make(context.problem, seed=context.seed)
        if isinstance(own, Optimizer):
            return own
        if not isinstance(own, AskTell):
            raise SearchError(f"{factory_name(self._make)} gives a {type(own).__name__} without ask(n) and tell(..)")
        return OwnOptimizer(own, context)


def factory_name(make: Callable[..., Any]) -> str:
    """The name of a class or function, of the one in a partial too."""
    while isinstance(make, partial):
        make = make.func
    return str(getattr(make, "__name__", type(make).__name__))
