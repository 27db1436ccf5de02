"""Pymoo's algorithms by name, over gene values."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Int
from pymoo.algorithms.moo.moead import ParallelMOEAD
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.algorithms.moo.rvea import RVEA
from pymoo.algorithms.moo.sms import SMSEMOA, cv_and_dom_tournament
from pymoo.algorithms.moo.spea2 import SPEA2, spea_binary_tournament
from pymoo.core.algorithm import Algorithm
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.selection import Selection
from pymoo.core.termination import NoTermination
from pymoo.operators.selection.rnd import RandomSelection
from pymoo.operators.selection.tournament import TournamentSelection, compare
from pymoo.termination.max_gen import MaximumGenerationTermination

from evo_qnas.errors import SearchError
from evo_qnas.pareto import weight_sweep
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.search.pymoo_bridge.genes import GeneProblem, rounded
from evo_qnas.search.pymoo_bridge.operators import Cross, DropVisited, Mutate, ReplaceVisited, SeededSampling
from evo_qnas.search.pymoo_bridge.optimizer import PymooOptimizer
from evo_qnas.search.visited import Visited

# Evaluations over which RVEA's schedule runs; the default budget of a search.
_HORIZON = 20_000


def named(name: str, context: SearchContext) -> Optimizer:
    """Pymoo's algorithm called `name` over gene values, with our sampling, crossover, mutation and duplicate check.

    Raises:
        SearchError: the algorithm does not fit the problem, or needs a package that is not installed.
    """
    kind, visited, space = _KINDS[name], Visited(context.space), context.space
    m = len(context.problem.objectives)
    if m == 1 and name == "rvea":
        raise SearchError("rvea needs two objectives or more: take another algorithm")
    operators = {
        "sampling": SeededSampling(visited, context.seeds().astype(np.int64)),
        "crossover": Cross(context.variation),
        "mutation": Mutate(context.variation),
        "repair": ReplaceVisited(context.variation, visited, always=not kind.drops_duplicates),
    }
    parts = _Parts(
        directions=weight_sweep(m, _divisions(m, context.population)),
        population=context.population,
        operators=operators,
        duplicates=DropVisited(visited),
    )
    algorithm = kind.make(parts)
    problem = GeneProblem(space, m, limited=bool(context.problem.constraints) and kind.takes_limits)
    algorithm.setup(problem, seed=int(context.rng.integers(2**31)), verbose=False)
    return PymooOptimizer(
        algorithm,
        problem,
        variables=lambda values: rounded(values, space),
        visited=visited,
        penalise=not kind.takes_limits,
    )


def _divisions(m: int, population: int) -> int:
    """The finest sweep of directions with at most `population` of them, at least the corners."""
    divisions = 1
    while m > 1 and divisions < population and len(weight_sweep(m, divisions + 1)) <= population:
        divisions += 1
    return divisions


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The parts that an algorithm is made of: reference directions, population size, operators, duplicate check."""

    directions: np.ndarray
    population: int
    operators: dict[str, Any]
    duplicates: DuplicateElimination

    def arguments(self, selection: Selection) -> dict[str, Any]:
        """Arguments that all of pymoo's genetic algorithms take."""
        return {
            "pop_size": self.population,
            "selection": selection,
            "eliminate_duplicates": self.duplicates,
            "termination": NoTermination(),
            **self.operators,
        }


def _nsga3(parts: _Parts) -> Algorithm:
    return NSGA3(parts.directions, **parts.arguments(TournamentSelection(func_comp=_less_violation)))


def _less_violation(pop: Any, P: np.ndarray, random_state: Any = None, **kwargs: Any) -> Int[np.ndarray, "matings 1"]:
    """Winners of tournaments by violation, drawn where it is equal.

    As pymoo's `comp_by_cv_then_random`, which draws between equal violations from a generator that no seed reaches.
    """
    violation = np.asarray(pop.get("CV")).reshape(len(pop))
    rule = {"method": "smaller_is_better", "return_random_if_equal": True, "random_state": random_state}
    chosen = [
        compare(a, violation[a], b, violation[b], **rule)
        if violation[a] > 0.0 or violation[b] > 0.0
        else random_state.choice([a, b])
        for a, b in P
    ]
    return np.array(chosen, dtype=np.int64)[:, None]


def _moead(parts: _Parts) -> Algorithm:
    # 20 neighbours are pymoo's default.
    neighbours = min(20, len(parts.directions))
    return ParallelMOEAD(parts.directions, n_neighbors=neighbours, termination=NoTermination(), **parts.operators)


def _sms(parts: _Parts) -> Algorithm:
    from pymoo.algorithms.moo.sms import LeastHypervolumeContributionSurvival

    selection = TournamentSelection(func_comp=cv_and_dom_tournament)
    return SMSEMOA(survival=LeastHypervolumeContributionSurvival(), **parts.arguments(selection))


def _age(parts: _Parts) -> Algorithm:
    if importlib.util.find_spec("numba") is None:
        raise SearchError("age-moea2 needs numba: pip install 'evo-qnas[age-moea2]', or take another algorithm")
    from pymoo.algorithms.moo.age2 import AGEMOEA2

    return AGEMOEA2(**parts.arguments(TournamentSelection(func_comp=binary_tournament)))


def _spea2(parts: _Parts) -> Algorithm:
    from pymoo.algorithms.moo.spea2 import SPEA2Survival

    selection = TournamentSelection(func_comp=spea_binary_tournament)
    return SPEA2(survival=SPEA2Survival(normalize=True), **parts.arguments(selection))


def _rvea(parts: _Parts) -> Algorithm:
    # Its schedule must not depend on the budget, or a search could not go on with a larger one.
    schedule = _Schedule(max(2, _HORIZON // parts.population))
    return RVEA(parts.directions, **{**parts.arguments(RandomSelection()), "termination": schedule})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A maker, and what its algorithm lacks: limits it does not take are added to the objectives."""

    make: Callable[[_Parts], Algorithm]
    takes_limits: bool = True
    drops_duplicates: bool = True


_KINDS = {
    "nsga3": _Kind(make=_nsga3),
    "moead": _Kind(make=_moead, takes_limits=False, drops_duplicates=False),
    "sms-emoa": _Kind(make=_sms),
    "age-moea2": _Kind(make=_age),
    "spea2": _Kind(make=_spea2),
    "rvea": _Kind(make=_rvea),
}


@final
class _Schedule(MaximumGenerationTermination):
    """A number of generations that RVEA's schedule runs over, without ending there."""

    def _update(self, algorithm: Any) -> float:
        return 0.0
