"""Search: from a problem to an archive.

- `search`: one call, any algorithm; resumes by replay.
- `ALGORITHMS`: names and what they are; `Optimizer`: the interface behind them.
- `NSGA2`, `RandomSearch`, `LocalSearch`, `Exact`, `Surrogate`: ours; pymoo's are behind `evo_qnas.search.pymoo_bridge`.
- `propose`: networks worth measuring next, given predictors.
- `Variation`, `Recipe`, `load_recipe`: crossover and mutation, cards in `operators/variation/`.
"""

from evo_qnas.search.algorithms import ALGORITHMS
from evo_qnas.search.exact import Exact
from evo_qnas.search.local import LocalSearch
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.optimizer import Optimizer
from evo_qnas.search.proposals import propose
from evo_qnas.search.random_search import RandomSearch
from evo_qnas.search.search import search
from evo_qnas.search.surrogate import Surrogate
from evo_qnas.search.variation import Recipe, Variation, load_recipe

__all__ = [
    "ALGORITHMS",
    "NSGA2",
    "Exact",
    "LocalSearch",
    "Optimizer",
    "RandomSearch",
    "Recipe",
    "Surrogate",
    "Variation",
    "load_recipe",
    "propose",
    "search",
]
