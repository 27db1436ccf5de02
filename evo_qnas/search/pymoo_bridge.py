"""The one bridge between searches and pymoo: pymoo's algorithms behind `Optimizer`, and our NSGA-II as one of pymoo's.

Every pymoo object is made for one run: pymoo shares default operators between algorithms, and operators keep state.
"""

import copy
import importlib.util
from collections.abc import Callable
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from pymoo.algorithms.moo.moead import ParallelMOEAD
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.algorithms.moo.nsga3 import NSGA3, comp_by_cv_then_random
from pymoo.algorithms.moo.rvea import RVEA
from pymoo.algorithms.moo.sms import SMSEMOA, cv_and_dom_tournament
from pymoo.algorithms.moo.spea2 import SPEA2, spea_binary_tournament
from pymoo.core.algorithm import Algorithm
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.individual import Individual
from pymoo.core.mutation import Mutation
from pymoo.core.population import Population
from pymoo.core.problem import Problem as Original
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination
from pymoo.operators.selection.rnd import RandomSelection
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.termination.max_gen import MaximumGenerationTermination
from pymoo.util.optimum import filter_optimum

from evo_qnas.errors import SearchError
from evo_qnas.pareto import weight_sweep
from evo_qnas.problem import Problem
from evo_qnas.problem.pymoo_bridge import ExportedProblem
from evo_qnas.problem.pymoo_bridge import PymooProblem as ForeignProblem
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.seen import Seen
from evo_qnas.search.variation import Recipe, Variation, load_recipe
from evo_qnas.spaces import Space

_HORIZON = 20_000


def named(
    name: str,
    variation: Variation,
    *,
    objectives: int,
    limits: int,
    population: int,
    rng: np.random.Generator,
    seeds: Int[np.ndarray, "s genes"],
) -> Optimizer:
    """Pymoo's algorithm called `name` over gene values, with our sampling, crossover, mutation and duplicate check."""
    seen = Seen(variation.space)
    operators = {
        "sampling": _Start(seen, seeds),
        "crossover": _Cross(variation),
        "mutation": _Mutate(variation),
    }
    directions = weight_sweep(objectives, _divisions(objectives, population))
    make = _MAKERS[name]
    algorithm = make(directions, population, operators, _Unmet(seen))
    problem = _GeneProblem(variation.space, objectives, limited=bool(limits) and name != "moead")
    algorithm.setup(problem, seed=int(rng.integers(2**31)), verbose=False)
    space = variation.space
    return PymooOptimizer(
        algorithm,
        problem,
        variables=lambda found: _rounded(found, space),
        seen=seen,
        penalise=name == "moead",
    )


def _divisions(m: int, population: int) -> int:
    """The finest sweep of directions with at most `population` of them, at least the corners."""
    divisions = 1
    while m > 1 and divisions < population and len(weight_sweep(m, divisions + 1)) <= population:
        divisions += 1
    return divisions


def _nsga3(
    directions: np.ndarray, population: int, operators: dict[str, Any], unmet: DuplicateElimination
) -> Algorithm:
    return NSGA3(
        directions,
        pop_size=population,
        selection=TournamentSelection(func_comp=comp_by_cv_then_random),
        eliminate_duplicates=unmet,
        termination=NoTermination(),
        **operators,
    )


def _moead(
    directions: np.ndarray, population: int, operators: dict[str, Any], unmet: DuplicateElimination
) -> Algorithm:
    neighbours = min(20, len(directions))
    return ParallelMOEAD(directions, n_neighbors=neighbours, termination=NoTermination(), **operators)


def _sms(directions: np.ndarray, population: int, operators: dict[str, Any], unmet: DuplicateElimination) -> Algorithm:
    from pymoo.algorithms.moo.sms import LeastHypervolumeContributionSurvival

    return SMSEMOA(
        pop_size=population,
        selection=TournamentSelection(func_comp=cv_and_dom_tournament),
        survival=LeastHypervolumeContributionSurvival(),
        eliminate_duplicates=unmet,
        termination=NoTermination(),
        **operators,
    )


def _age(directions: np.ndarray, population: int, operators: dict[str, Any], unmet: DuplicateElimination) -> Algorithm:
    if importlib.util.find_spec("numba") is None:
        raise SearchError("age-moea2 needs numba: pip install 'evo-qnas[age-moea2]', or take another algorithm")
    from pymoo.algorithms.moo.age2 import AGEMOEA2

    return AGEMOEA2(
        pop_size=population,
        selection=TournamentSelection(func_comp=binary_tournament),
        eliminate_duplicates=unmet,
        termination=NoTermination(),
        **operators,
    )


def _spea2(
    directions: np.ndarray, population: int, operators: dict[str, Any], unmet: DuplicateElimination
) -> Algorithm:
    from pymoo.algorithms.moo.spea2 import SPEA2Survival

    return SPEA2(
        pop_size=population,
        selection=TournamentSelection(func_comp=spea_binary_tournament),
        survival=SPEA2Survival(normalize=True),
        eliminate_duplicates=unmet,
        termination=NoTermination(),
        **operators,
    )


def _rvea(directions: np.ndarray, population: int, operators: dict[str, Any], unmet: DuplicateElimination) -> Algorithm:
    # Its schedule must not depend on the budget, or a search could not go on with a larger one.
    return RVEA(
        directions,
        pop_size=population,
        selection=RandomSelection(),
        eliminate_duplicates=unmet,
        termination=_Schedule(max(2, _HORIZON // population)),
        **operators,
    )


_MAKERS: dict[str, Callable[[np.ndarray, int, dict[str, Any], DuplicateElimination], Algorithm]] = {
    "nsga3": _nsga3,
    "moead": _moead,
    "sms-emoa": _sms,
    "age-moea2": _age,
    "spea2": _spea2,
    "rvea": _rvea,
}


@final
class _Schedule(MaximumGenerationTermination):  # type: ignore[misc]
    """A number of generations that RVEA's schedule runs over, without ending there."""

    def _update(self, algorithm: Any) -> float:
        return 0.0


@final
class _GeneProblem(Original):  # type: ignore[misc]
    """Bounds and sizes for pymoo; the values come from the search loop."""

    def __init__(self, space: Space, objectives: int, *, limited: bool) -> None:
        super().__init__(
            n_var=len(space.genes),
            n_obj=objectives,
            n_ieq_constr=int(limited),
            xl=np.zeros(len(space.genes), dtype=np.int64),
            xu=space.counts - 1,
            vtype=int,
        )


@final
class _Start(Sampling):  # type: ignore[misc]
    """The seeds, then gene values drawn without repetition."""

    def __init__(self, seen: Seen, seeds: Int[np.ndarray, "s genes"]) -> None:
        super().__init__()
        self._seen = seen
        self._seeds = seeds

    def _do(self, problem: Any, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        seeds = self._seen.unmet(self._seeds)[:n_samples]
        others = self._seen.random(random_state, n_samples)
        return self._seen.unmet(np.concatenate([seeds, others]))[:n_samples]


@final
class _Cross(Crossover):  # type: ignore[misc]
    """Our crossover on pymoo's (parents, matings, genes) block."""

    def __init__(self, variation: Variation) -> None:
        super().__init__(2, 1, prob=1.0)
        self._variation = variation

    def _do(self, problem: Any, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        return self._variation.cross(random_state, X[0].astype(np.int64), X[1].astype(np.int64))[None]


@final
class _Mutate(Mutation):  # type: ignore[misc]
    """Our mutation on a whole matrix."""

    def __init__(self, variation: Variation) -> None:
        super().__init__(prob=1.0)
        self._variation = variation

    def _do(self, problem: Any, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        return self._variation.mutate(random_state, X.astype(np.int64))


@final
class _Unmet(DuplicateElimination):  # type: ignore[misc]
    """Removes children that were ever evaluated, by exact keys instead of pymoo's distances."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self._seen = seen

    def do(self, pop: Any, *args: Any, return_indices: bool = False, to_itself: bool = True) -> Any:
        """The population without duplicates of itself, of what was seen, or of the other populations given."""
        if not len(pop):
            return (pop, [], []) if return_indices else pop
        # The last population is the children found so far, which the search has not seen yet.
        taken = {key for other in args if len(other) for key in self._seen.keys(_matrix(other))}
        kept = []
        for index, key in enumerate(self._seen.keys(_matrix(pop))):
            if key not in taken and key not in self._seen:
                taken.add(key)
                kept.append(index)
        if return_indices:
            return pop[kept], kept, sorted(set(range(len(pop))) - set(kept))
        return pop[kept]


def _matrix(pop: Any) -> Int[np.ndarray, "n genes"]:
    """The gene values of a population."""
    matrix: np.ndarray = np.asarray(pop.get("X")).astype(np.int64)
    return matrix


def _rounded(found: np.ndarray, space: Space) -> Int[np.ndarray, "n genes"]:
    """Gene values of variables that an operator may have left between or beyond integers."""
    values = np.clip(np.rint(np.asarray(found, dtype=np.float64)), 0, space.counts - 1)
    return values.astype(np.int64)


@final
class PymooOptimizer(Optimizer):
    """A pymoo algorithm, set up and never used before, behind ask and tell."""

    def __init__(
        self,
        algorithm: Algorithm,
        problem: Original,
        *,
        variables: Callable[[np.ndarray], Int[np.ndarray, "n genes"]],
        seen: Seen,
        penalise: bool = False,
    ) -> None:
        """Wraps an algorithm.

        Args:
            algorithm: after `setup`.
            problem: what it was set up with.
            variables: turns what pymoo calls X into gene values.
            seen: told what was evaluated.
            penalise: add the violation to the objectives, for algorithms that know no limits.
        """
        self._algorithm = algorithm
        self._problem = problem
        self._variables = variables
        self._seen = seen
        self._penalise = penalise
        self._asked: Any = None
        self._worst: np.ndarray | None = None

    def ask(self) -> Int[np.ndarray, "n genes"]:
        """What pymoo wants evaluated; nothing when it ended."""
        nothing = np.empty((0, len(self._seen.space.genes)), dtype=np.int64)
        if not self._algorithm.has_next():
            return nothing
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            self._asked = self._algorithm.ask()
        if self._asked is None or not len(_population(self._asked)):
            return nothing
        genes: np.ndarray = self._variables(_population(self._asked).get("X"))
        return genes

    def tell(
        self,
        genes: Int[np.ndarray, "n genes"],
        objectives: Float[np.ndarray, "n m"],
        violation: Float[np.ndarray, " n"],
    ) -> None:
        """Hands the values to pymoo; a failed row gets values worse than any seen, as pymoo knows no failures."""
        self._seen.meet(genes)
        values = self._finite(objectives)
        if self._penalise:
            values = values + np.minimum(np.nan_to_num(violation, posinf=1e6), 1e6)[:, None] * self._span(values)
        given: dict[str, np.ndarray] = {"F": values}
        if self._problem.n_ieq_constr:
            excess = np.nan_to_num(violation, posinf=1e30)[:, None]
            given["G"] = np.tile(excess, (1, self._problem.n_ieq_constr))
        if self._problem.n_eq_constr:
            given["H"] = np.zeros((len(genes), self._problem.n_eq_constr))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            population = _population(self._asked)
            for name, matrix in given.items():
                population.set(name, matrix)
            for individual in population:
                individual.evaluated.update(["F", "G", "H"])
            self._algorithm.evaluator.n_eval += len(genes)
            self._algorithm.tell(infills=self._asked)

    def _finite(self, objectives: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
        """Objectives with the rows of failed evaluations behind the worst seen so far."""
        sound = np.isfinite(objectives).all(axis=1)
        if sound.any():
            here = objectives[sound].max(axis=0)
            self._worst = here if self._worst is None else np.maximum(self._worst, here)
        worst = np.zeros(objectives.shape[1]) if self._worst is None else self._worst
        values: np.ndarray = np.where(sound[:, None], objectives, worst + np.abs(worst) + 1.0)
        return values

    def _span(self, values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
        """How much a unit of violation weighs in each objective."""
        span: np.ndarray = np.abs(values).max(axis=0) + 1.0
        return span


def _population(asked: Any) -> Any:
    """What was asked for as a population; steady-state algorithms ask for one individual."""
    return Population.create(asked) if isinstance(asked, Individual) else asked


def configured(algorithm: Any, problem: Problem, *, seed: int) -> Optimizer:
    """A copy of a user's own pymoo algorithm, over the gene values of a problem.

    A problem that came from pymoo is searched in its own variables; any other as integers, rounded and clipped where an
    operator left them.

    Raises:
        SearchError: `algorithm` is no pymoo algorithm, or pymoo refuses the combination.
    """
    if not isinstance(algorithm, Algorithm):
        raise SearchError(
            f"algorithm must be a name (see `evo-qnas list algorithms`) or a pymoo Algorithm, got {algorithm!r}"
        )
    space = problem.space
    if isinstance(problem, ForeignProblem):
        foreign = problem
        theirs = copy.deepcopy(problem.original)

        def variables(found: np.ndarray) -> Int[np.ndarray, "n genes"]:
            return space.encode(foreign.genomes_of(found))
    else:
        theirs = _GeneProblem(space, len(problem.objectives), limited=bool(problem.constraints))

        def variables(found: np.ndarray) -> Int[np.ndarray, "n genes"]:
            return _rounded(found, space)

    mine = copy.deepcopy(algorithm)
    if mine.termination is None:
        mine.termination = NoTermination()
    try:
        mine.setup(theirs, seed=seed, verbose=False)
    except Exception as error:
        # pymoo refuses by assertions and bare exceptions.
        raise SearchError(f"{type(algorithm).__name__} cannot search this problem: {error}") from error
    return PymooOptimizer(mine, theirs, variables=variables, seen=Seen(space))


@final
class EvoNSGA2(Algorithm):  # type: ignore[misc]
    """Our NSGA-II as a pymoo algorithm: `pymoo.optimize.minimize(problem, EvoNSGA2(), ("n_eval", 20_000))`.

    Works on pymoo problems of integers between bounds, what `Problem.to_pymoo()` gives among them.

    Example:
        >>> from pymoo.optimize import minimize
        >>> class Sums(Original):
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
        if problem.xl is None or problem.xu is None:
            raise SearchError("EvoNSGA2 needs integer variables with bounds")
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
        self._running.tell(_matrix(infills) - self._low, objectives, violation)
        kept = filter_optimum(
            infills if self._best is None else Population.merge(self._best, infills), least_infeasible=True
        )
        self.pop = self._best = Population.create(kept) if isinstance(kept, Individual) else kept

    def _set_optimum(self) -> None:
        self.opt = self.pop
