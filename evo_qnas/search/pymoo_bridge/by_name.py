"""Pymoo's algorithms by name, over gene values."""

import importlib.util
from collections.abc import Callable
from typing import Any, final

import numpy as np
from jaxtyping import Int
from pymoo.algorithms.moo.moead import ParallelMOEAD
from pymoo.algorithms.moo.nsga2 import binary_tournament
from pymoo.algorithms.moo.nsga3 import NSGA3, comp_by_cv_then_random
from pymoo.algorithms.moo.rvea import RVEA
from pymoo.algorithms.moo.sms import SMSEMOA, cv_and_dom_tournament
from pymoo.algorithms.moo.spea2 import SPEA2, spea_binary_tournament
from pymoo.core.algorithm import Algorithm
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.termination import NoTermination
from pymoo.operators.selection.rnd import RandomSelection
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.termination.max_gen import MaximumGenerationTermination

from evo_qnas.errors import SearchError
from evo_qnas.pareto import weight_sweep
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.pymoo_bridge.genes import GeneProblem, rounded
from evo_qnas.search.pymoo_bridge.operators import Cross, Fresh, Mutate, Start, Unmet
from evo_qnas.search.pymoo_bridge.optimizer import PymooOptimizer
from evo_qnas.search.seen import Seen
from evo_qnas.search.variation import Variation

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
        "sampling": Start(seen, seeds),
        "crossover": Cross(variation),
        "mutation": Mutate(variation),
        "repair": Fresh(variation, seen, always=name == "moead"),
    }
    directions = weight_sweep(objectives, _divisions(objectives, population))
    make = _MAKERS[name]
    algorithm = make(directions, population, operators, Unmet(seen))
    problem = GeneProblem(variation.space, objectives, limited=bool(limits) and name != "moead")
    algorithm.setup(problem, seed=int(rng.integers(2**31)), verbose=False)
    space = variation.space
    return PymooOptimizer(
        algorithm,
        problem,
        variables=lambda found: rounded(found, space),
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
class _Schedule(MaximumGenerationTermination):
    """A number of generations that RVEA's schedule runs over, without ending there."""

    def _update(self, algorithm: Any) -> float:
        return 0.0
