"""A user's own pymoo algorithm over any problem."""

import copy
from typing import Any

import numpy as np
from jaxtyping import Int
from pymoo.algorithms.moo.rvea import RVEA
from pymoo.core.algorithm import Algorithm
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination
from pymoo.operators.sampling.rnd import PermutationRandomSampling

from evo_qnas.errors import SearchError
from evo_qnas.problem import Problem
from evo_qnas.problem.pymoo_bridge import PymooProblem as ForeignProblem
from evo_qnas.search.base import Optimizer
from evo_qnas.search.pymoo_bridge.genes import GeneProblem, rounded
from evo_qnas.search.pymoo_bridge.operators import SeedsThenTheirs
from evo_qnas.search.pymoo_bridge.optimizer import PymooOptimizer
from evo_qnas.search.visited import Visited
from evo_qnas.spaces import Space


def configured(
    algorithm: Any,
    problem: Problem,
    *,
    seed: int,
    space: Space | None = None,
    seeds: Int[np.ndarray, "s genes"] | None = None,
) -> Optimizer:
    """A copy of a user's own pymoo algorithm, over the gene values of a problem.

    A problem that came from pymoo is searched in its own variables; any other as integers, rounded and clipped where an
    operator left them.

    Args:
        algorithm: stays as it is.
        problem: any problem.
        seed: of the algorithm.
        space: what gene values mean, the problem's own or a part of it that leaves options out; None for its own.
        seeds: gene values of `space` that head the algorithm's own sampling.

    Raises:
        SearchError: `algorithm` is no pymoo algorithm, or pymoo refuses the combination.
    """
    if not isinstance(algorithm, Algorithm):
        raise SearchError(
            "algorithm must be a name (see `evo-qnas list algorithms`), an Algorithm or Optimizer of evo_qnas, "
            f"or a pymoo Algorithm, got {algorithm!r}"
        )
    space = problem.space if space is None else space
    if isinstance(problem, ForeignProblem):
        foreign = problem
        theirs = copy.deepcopy(problem.original)

        def variables(values: np.ndarray) -> Int[np.ndarray, "n genes"]:
            return space.encode(foreign.genomes_of(values))
    else:
        theirs = GeneProblem(space, len(problem.objectives), limited=bool(problem.constraints))

        def variables(values: np.ndarray) -> Int[np.ndarray, "n genes"]:
            return rounded(values, space)

    _check_fit(algorithm, len(problem.objectives))
    mine = copy.deepcopy(algorithm)
    if mine.termination is None:
        mine.termination = NoTermination()
    if seeds is not None and len(seeds):
        _seed(mine, seeds if not isinstance(problem, ForeignProblem) else problem.variables_of(space.decode(seeds)))
    try:
        mine.setup(theirs, seed=seed, verbose=False)
    except Exception as error:
        # pymoo refuses by assertions and bare exceptions.
        raise SearchError(f"{type(algorithm).__name__} cannot search this problem: {error}") from error
    return PymooOptimizer(mine, theirs, variables=variables, visited=Visited(space))


def _check_fit(algorithm: Algorithm, m: int) -> None:
    """Refuses what pymoo would find out in the middle of the search, by an assertion or not at all."""
    name = type(algorithm).__name__
    if m > 1 and any(kind.__module__.startswith("pymoo.algorithms.soo.") for kind in type(algorithm).__mro__):
        raise SearchError(f"{name} is an algorithm for one objective, the problem has {m}: take another one")
    if m == 1 and isinstance(algorithm, RVEA):
        raise SearchError(f"{name} needs two objectives or more: take another algorithm")
    if isinstance(vars(vars(algorithm).get("initialization") or object).get("sampling"), PermutationRandomSampling):
        raise SearchError(f"{name} samples permutations, whose integers are not free: it cannot search this problem")


def _seed(algorithm: Any, seeds: np.ndarray) -> None:
    """Puts seeds before the algorithm's own sampling, where it samples; a ready population stays."""
    start = vars(algorithm).get("initialization")
    if start is not None and isinstance(start.sampling, Sampling):
        start.sampling = SeedsThenTheirs(seeds, start.sampling)
