"""Search: from a problem to an archive.

- `search`: one call, any algorithm; resumes by replay.
- `unbroken_replay`: what an asynchronous search's archive is held against, whatever broke it off.
- `ALGORITHMS`: names and descriptions of all registered algorithms.
- `optimizer`: any algorithm by ask and tell, for evaluations that are made elsewhere; `AskTellOptimizer`.
- `AskTell`: the interface of an algorithm of one's own.
- `Algorithm`: an entry of the registry, which makes an `Optimizer` from a `SearchContext`.
- `NSGA2`, `RandomSearch`, `LocalSearch`, `Exact`, `Surrogate`: ours; pymoo's are behind `evo_qnas.search.pymoo_bridge`.
- `propose`: networks worth measuring next, chosen by predictors.
- `Variation`, `Recipe`, `load_recipe`: crossover and mutation, cards in `operators/variation/`.
"""

from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.algorithms import ALGORITHMS
from evo_qnas.search.ask_tell import AskTellOptimizer, optimizer
from evo_qnas.search.asynchronous import unbroken_replay
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.search.exact import Exact
from evo_qnas.search.local import LocalSearch
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.own import AskTell
from evo_qnas.search.proposals import propose
from evo_qnas.search.random_search import RandomSearch
from evo_qnas.search.search import search
from evo_qnas.search.surrogate import Surrogate
from evo_qnas.search.variation import Recipe, Variation, load_recipe

__all__ = [
    "ALGORITHMS",
    "NSGA2",
    "Algorithm",
    "AskTell",
    "AskTellOptimizer",
    "Exact",
    "LocalSearch",
    "Optimizer",
    "RandomSearch",
    "Recipe",
    "SearchContext",
    "Surrogate",
    "Variation",
    "load_recipe",
    "optimizer",
    "propose",
    "search",
    "unbroken_replay",
]
