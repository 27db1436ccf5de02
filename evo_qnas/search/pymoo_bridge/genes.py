"""Gene values as pymoo holds them."""

from typing import Any, final

import numpy as np
from jaxtyping import Int
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.core.problem import Problem as Original

from evo_qnas.spaces import Space


@final
class GeneProblem(Original):
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


def matrix_of(pop: Any) -> Int[np.ndarray, "n genes"]:
    """The gene values of a population."""
    matrix: np.ndarray = np.asarray(pop.get("X")).astype(np.int64)
    return matrix


def rounded(values: np.ndarray, space: Space) -> Int[np.ndarray, "n genes"]:
    """Gene values of variables that an operator may have left between or beyond integers."""
    clipped = np.clip(np.rint(np.asarray(values, dtype=np.float64)), 0, space.counts - 1)
    return clipped.astype(np.int64)


def population_of(asked: Any) -> Any:
    """Individuals asked for as a population; steady-state algorithms ask for one individual."""
    return Population.create(asked) if isinstance(asked, Individual) else asked
