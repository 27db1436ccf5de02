"""Our NSGA-II as one of pymoo's algorithms."""

from typing import Any, final

import numpy as np
from jaxtyping import Int
from pymoo.core.algorithm import Algorithm
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.util.optimum import filter_optimum

from evo_qnas.errors import SearchError
from evo_qnas.problem.pymoo_bridge import ExportedProblem, refuse_permutations
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.pymoo_bridge.genes import matrix_of
from evo_qnas.search.variation import Recipe, Variation, load_recipe
from evo_qnas.spaces import Space


@final
class EvoNSGA2(Algorithm):
    """Our NSGA-II as a pymoo algorithm: `pymoo.optimize.minimize(problem, EvoNSGA2(), ("n_eval", 20_000))`.

    Works on pymoo problems of integers between bounds, what `Problem.to_pymoo()` gives among them.

    Example:
        >>> from pymoo.core.problem import Problem
        >>> from pymoo.optimize import minimize
        >>> class Sums(Problem):
        ...     def __init__(self):
        ...         super().__init__(n_var=4, n_obj=2, xl=0, xu=3, vtype=int)
        ...     def _evaluate(self, X, out, *args, **kwargs):
        ...         out["F"] = np.stack([X.sum(axis=1), (3 - X).sum(axis=1)], axis=1).astype(float)
        >>> result = minimize(Sums(), EvoNSGA2(pop_size=20), ("n_eval", 200), seed=0)
        >>> len(np.unique(result.F, axis=0))
        13
    """

    def __init__(
        self,
        *,
        pop_size: int = 100,
        variation: str | Recipe = "default",
        space: Space | None = None,
        seeds: Int[np.ndarray, "s genes"] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures the algorithm.

        Args:
            pop_size: networks kept, and asked for at once.
            variation: recipe of `operators/variation/`, by name or as an object.
            space: the space whose gene values the variables are, for mutations of operator or bits alone; None takes
                the variables for operators without bits.
            seeds: gene values to start from.
            **kwargs: to pymoo's `Algorithm`.
        """
        super().__init__(**kwargs)
        self.pop_size = pop_size
        self.variation = variation
        self.space = space
        self.seeds = seeds
        self._engine: NSGA2 | None = None
        self._low: np.ndarray = np.zeros(0, dtype=np.int64)
        self._best: Any = None

    def _setup(self, problem: Any, **kwargs: Any) -> None:
        if problem.xl is None or problem.xu is None or problem.vtype not in (int, bool):
            kind = getattr(problem.vtype, "__name__", problem.vtype)
            raise SearchError(
                f"EvoNSGA2 needs integer variables with bounds, and problem {problem.name()} has {kind} variables: "
                "give it vtype=int where they are integers"
            )
        refuse_permutations(problem)
        self._low = np.asarray(problem.xl).astype(np.int64)
        if self.space is None and isinstance(problem, ExportedProblem):
            self.space = problem.original.space
        space = self.space or Space.from_counts((np.asarray(problem.xu).astype(np.int64) - self._low + 1).tolist())
        recipe = self.variation if isinstance(self.variation, Recipe) else load_recipe(self.variation)
        seeds = np.empty((0, len(space.genes)), dtype=np.int64) if self.seeds is None else self.seeds
        self._engine = NSGA2(Variation(space, recipe), population=self.pop_size, rng=self.random_state, seeds=seeds)

    def _ask(self) -> Any:
        genes = self._running.ask()
        if not len(genes):
            self.termination.force_termination = True
            return None
        return Population.new("X", genes + self._low)

    @property
    def _running(self) -> NSGA2:
        if self._engine is None:
            raise SearchError("EvoNSGA2 must be set up with a problem first")
        return self._engine

    def _initialize_infill(self) -> Any:
        return self._ask()

    def _infill(self) -> Any:
        return self._ask()

    def _initialize_advance(self, infills: Any = None, **kwargs: Any) -> None:
        self._take(infills)

    def _advance(self, infills: Any = None, **kwargs: Any) -> None:
        if infills is not None:
            self._take(infills)

    def _take(self, infills: Any) -> None:
        objectives = np.asarray(infills.get("F"), dtype=np.float64)
        violation = np.maximum(np.asarray(infills.get("CV"), dtype=np.float64).reshape(len(infills), -1), 0.0).sum(
            axis=1
        )
        self._running.tell(matrix_of(infills) - self._low, objectives, violation)
        kept = filter_optimum(
            infills if self._best is None else Population.merge(self._best, infills), least_infeasible=True
        )
        self.pop = self._best = Population.create(kept) if isinstance(kept, Individual) else kept

    def _set_optimum(self) -> None:
        self.opt = self.pop
