"""Algorithms by name."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Int

from evo_qnas.cards import nearest
from evo_qnas.errors import SearchError
from evo_qnas.search.local import LocalSearch
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.random_search import RandomSearch
from evo_qnas.search.seen import Seen
from evo_qnas.search.variation import Recipe, Variation
from evo_qnas.spaces import Space

PYMOO_NAMES = ("nsga3", "moead", "sms-emoa", "age-moea2", "spea2", "rvea")

ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "nsga2": "non-dominated sorting and crowding on whole gene matrices (Deb et al. 2002); the default",
        "nsga3": "non-dominated sorting and reference directions, for many objectives (Deb & Jain 2014), pymoo's",
        "moead": "decomposition into weighted subproblems (Zhang & Li 2007), pymoo's",
        "sms-emoa": "selection by hypervolume contribution (Beume et al. 2007), pymoo's",
        "age-moea2": "selection by the estimated shape of the front (Panichella 2022), pymoo's",
        "spea2": "strength and density of neighbours (Zitzler et al. 2001), pymoo's",
        "rvea": "reference vectors and angles (Cheng et al. 2016), pymoo's",
        "random": "every network not tried yet is equally likely next",
        "local": "Pareto local search over one-gene neighbours (Paquete et al. 2004)",
        "surrogate": "expected hypervolume improvement over Gaussian processes, for objectives that take long",
        "exact": "the true front by merging sums, for additive objectives and limits",
    }
)


def make_optimizer(
    name: str,
    space: Space,
    *,
    objectives: int,
    limits: int,
    population: int,
    rng: np.random.Generator,
    seeds: Int[np.ndarray, "s genes"],
    recipe: Recipe,
    learn: bool = True,
    seen: Seen | None = None,
) -> Optimizer:
    """The algorithm called `name` over a space; `exact`, which needs the whole problem, is made by `search`.

    Args:
        name: one of `ALGORITHMS`.
        space: what is searched.
        objectives: how many.
        limits: how many.
        population: networks kept, and asked for at once.
        rng: of all draws.
        seeds: gene values to start from.
        recipe: of crossover and mutation.
        learn: let `nsga2` learn a linear model.
        seen: what the search that asks has met; spares `nsga2` a count of its own.

    Raises:
        SearchError: there is no such algorithm.
    """
    if name == "random":
        return RandomSearch(space, population=population, rng=rng, seeds=seeds)
    if name == "local":
        return LocalSearch(space, population=population, rng=rng, seeds=seeds)
    variation = Variation(space, recipe)
    if name == "nsga2":
        return NSGA2(variation, population=population, rng=rng, seeds=seeds, learn=learn, seen=seen)
    if name in PYMOO_NAMES:
        from evo_qnas.search.pymoo_bridge import named

        return named(name, variation, objectives=objectives, limits=limits, population=population, rng=rng, seeds=seeds)
    raise SearchError(f"there is no algorithm {name!r}; {nearest(name, list(ALGORITHMS))}")
