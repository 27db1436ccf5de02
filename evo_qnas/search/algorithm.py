"""The interface of an algorithm that can be chosen by name: how its optimizer is made for one search."""

from abc import ABC, abstractmethod

from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext


class Algorithm(ABC):
    """A search algorithm as an entry of the registry; one object makes the optimizers of any number of searches.

    Contract: `make` gives a new optimizer at each call, over gene values of `context.space`, that depends on the
    context alone. `evo_qnas.testing.AlgorithmContract` tests it. A package of others adds its own by an entry point:

        [project.entry-points."evo_qnas.algorithms"]
        annealing = "my_package.annealing:Annealing"

    Attributes:
        about: one line for `evo-qnas list algorithms`.
        reduces: `context.space` leaves out options that no optimum needs, where the search allows it; False for
            algorithms that need the problem's own space.
        label: the name under which archives have it; empty for the class's.
        complete: the optimizer's first answer is recorded whole, however small the budget (`exact`).
    """

    about: str
    reduces: bool = True
    label: str = ""
    complete: bool = False

    @abstractmethod
    def make(self, context: SearchContext) -> Optimizer:
        """An optimizer over `context.space`, before its first `ask`.

        Raises:
            SearchError: the algorithm does not fit the problem, or needs a package that is not installed.
        """
