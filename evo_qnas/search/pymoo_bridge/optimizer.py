"""A pymoo algorithm behind `Optimizer`."""

from collections.abc import Callable
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from pymoo.core.algorithm import Algorithm
from pymoo.core.problem import Problem as Original

from evo_qnas.search.base import Optimizer
from evo_qnas.search.pymoo_bridge.genes import population_of
from evo_qnas.search.visited import Visited

# Violation of a failed row, and the most that is added as a penalty: behind every other one, and a finite number.
_FAILED = 1e30
_MOST_PENALTY = 1e6


@final
class PymooOptimizer(Optimizer):
    """A pymoo algorithm, set up and never used before, behind ask and tell."""

    def __init__(
        self,
        algorithm: Algorithm,
        problem: Original,
        *,
        variables: Callable[[np.ndarray], Int[np.ndarray, "n genes"]],
        visited: Visited,
        penalise: bool = False,
    ) -> None:
        """Wraps an algorithm.

        Args:
            algorithm: after `setup`.
            problem: what it was set up with.
            variables: turns pymoo's X into gene values.
            visited: takes the evaluated rows.
            penalise: add the violation to the objectives, for algorithms that know no limits.
        """
        self._algorithm = algorithm
        self._problem = problem
        self._variables = variables
        self._visited = visited
        self._penalise = penalise
        self._asked: Any = None
        self._worst: np.ndarray | None = None
        self._stop_reason = ""

    @property
    def stop_reason(self) -> str:
        """The algorithm's own termination, where that has ended it."""
        return self._stop_reason

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """Gene values that pymoo asks for; none when it ended."""
        nothing = np.empty((0, len(self._visited.space.genes)), dtype=np.int64)
        if not self._algorithm.has_next():
            if not self._algorithm.termination.force_termination:
                self._stop_reason = f"the algorithm's own termination: {type(self._algorithm.termination).__name__}"
            return nothing
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            self._asked = self._algorithm.ask()
        if self._asked is None or not len(population_of(self._asked)):
            return nothing
        genes: np.ndarray = self._variables(population_of(self._asked).get("X"))
        return genes

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Hands the values to pymoo; a failed row gets values worse than any before, as pymoo knows no failures."""
        self._visited.mark(genes)
        values = self._finite(objectives)
        if self._penalise:
            values = values + np.minimum(np.nan_to_num(violation, posinf=_MOST_PENALTY), _MOST_PENALTY)[
                :, None
            ] * self._span(values)
        outputs: dict[str, np.ndarray] = {"F": values}
        if self._problem.n_ieq_constr:
            excess = np.nan_to_num(violation, posinf=_FAILED)[:, None]
            outputs["G"] = np.tile(excess, (1, self._problem.n_ieq_constr))
        if self._problem.n_eq_constr:
            outputs["H"] = np.zeros((len(genes), self._problem.n_eq_constr))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            population = population_of(self._asked)
            for name, matrix in outputs.items():
                population.set(name, matrix)
            for individual in population:
                individual.evaluated.update(["F", "G", "H"])
            self._algorithm.evaluator.n_eval += len(genes)
            self._algorithm.tell(infills=self._asked)

    def _finite(self, objectives: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
        """Objectives with the rows of failed evaluations behind the worst so far."""
        sound = np.isfinite(objectives).all(axis=1)
        if sound.any():
            here = objectives[sound].max(axis=0)
            self._worst = here if self._worst is None else np.maximum(self._worst, here)
        worst = np.zeros(objectives.shape[1]) if self._worst is None else self._worst
        values: np.ndarray = np.where(sound[:, None], objectives, worst + np.abs(worst) + 1.0)
        return values

    def _span(self, values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
        """The weight of a unit of violation in each objective."""
        span: np.ndarray = np.abs(values).max(axis=0) + 1.0
        return span
