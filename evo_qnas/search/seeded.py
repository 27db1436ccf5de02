"""Seeds and reduced options for algorithms that take neither by themselves."""

from dataclasses import replace
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.problem import ConstraintInfo, ObjectiveInfo, Problem
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.algorithms import algorithm_of, is_of_pymoo, name_of
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.spaces import Additive, Space


@final
class Seeded(Algorithm):
    """Any algorithm, with the seeds and reduced options that named ones have by themselves.

    A pymoo algorithm has the seeds at the head of its own sampling; a class of one's own is given the reduced problem,
    and the seeds are evaluated before its first ask.
    """

    reduces = True

    def __init__(self, algorithm: Any) -> None:
        self.algorithm = algorithm
        self.label = f"{name_of(algorithm)} with seeds"
        self.about = f"{name_of(algorithm)}, with seeds and reduced options"
        self.complete = algorithm_of(algorithm).complete

    def make(self, context: SearchContext) -> Optimizer:
        """The algorithm's optimizer over the context's space."""
        if is_of_pymoo(self.algorithm):
            from evo_qnas.search.pymoo_bridge import configured

            space, seeds = context.space, context.seeds().astype(np.int64)
            return configured(self.algorithm, context.problem, seed=context.seed, space=space, seeds=seeds)
        inner = algorithm_of(self.algorithm)
        if inner.reduces:
            return inner.make(context)
        restricted = replace(context, problem=_Restricted(context.problem, context.space), reduce=False)
        # The record of what was evaluated is the search's.
        vars(restricted)["visited"] = context.visited
        return _SeedsFirst(inner.make(restricted), context.seeds())


@final
class _SeedsFirst(Optimizer):
    """The seeds, then what another optimizer asks for."""

    def __init__(self, inner: Optimizer, seeds: Int[np.ndarray, "s genes"]) -> None:
        self._inner = inner
        self._seeds = seeds
        self._known: tuple[np.ndarray, ...] | None = None
        self._asked_seeds = False

    @property
    def least_evaluations(self) -> int:
        """As the other optimizer has it."""
        return self._inner.least_evaluations

    @property
    def stop_reason(self) -> str:
        """As the other optimizer has it."""
        return self._inner.stop_reason

    @property
    def takes_others(self) -> bool:
        """As the other optimizer has it."""
        return self._inner.takes_others

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """The seeds once, then the other optimizer's rows."""
        self._asked_seeds = bool(len(self._seeds))
        if self._asked_seeds:
            seeds, self._seeds = self._seeds, self._seeds[:0]
            return seeds
        return self._inner.ask()

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
        """Keeps the seeds' values until the other optimizer has asked, which takes them if it can."""
        values = genes, objectives, violation, excess
        if self._asked_seeds:
            self._known = values if self._inner.takes_others else None
            return
        if self._known is not None:
            genes, objectives, violation, excess = (
                np.concatenate(pair) for pair in zip(values, self._known, strict=True)
            )
            self._known = None
        self._inner.tell_with_limits(genes, objectives, violation, excess)


@final
class _Restricted(Problem):
    """A problem with some options left out."""

    def __init__(self, whole: Problem, within: Space) -> None:
        self._whole, self._within = whole, within
        self.tables, self.slow, self.noisy = whole.tables, whole.slow, whole.noisy
        self.fully_fingerprinted = whole.fully_fingerprinted

    @property
    def space(self) -> Space:
        """What is left."""
        return self._within

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """Of the whole problem."""
        return self._whole.objectives

    @property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """Of the whole problem."""
        return self._whole.constraints

    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """By the whole problem."""
        return self._whole.evaluate(genomes)

    @property
    def additive(self) -> Additive | None:
        """None: the sums are over the whole space."""
        return None

    @property
    def fingerprint(self) -> str:
        """Of the whole problem."""
        return self._whole.fingerprint
