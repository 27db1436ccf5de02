"""Algorithms by name: ours, pymoo's, and those that other packages register."""

from collections.abc import Iterator, Mapping
from typing import Any, final

from evo_qnas.errors import SearchError
from evo_qnas.registry import Registry
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.context import SearchContext
from evo_qnas.search.optimizer import Optimizer

_PYMOO = "evo_qnas.search.pymoo_algorithms"
REGISTRY: Registry[Algorithm] = Registry(
    "algorithm",
    "evo_qnas.algorithms",
    Algorithm,
    {
        "nsga2": "evo_qnas.search.nsga2:NSGA2Algorithm",
        "nsga3": f"{_PYMOO}:NSGA3",
        "moead": f"{_PYMOO}:MOEAD",
        "sms-emoa": f"{_PYMOO}:SMS_EMOA",
        "age-moea2": f"{_PYMOO}:AGE_MOEA2",
        "spea2": f"{_PYMOO}:SPEA2",
        "rvea": f"{_PYMOO}:RVEA",
        "random": "evo_qnas.search.random_search:RandomAlgorithm",
        "local": "evo_qnas.search.local:LocalAlgorithm",
        "surrogate": "evo_qnas.search.surrogate:SurrogateAlgorithm",
        "exact": "evo_qnas.search.exact:ExactAlgorithm",
    },
    error=SearchError,
)


@final
class _Descriptions(Mapping[str, str]):
    """Descriptions of all registered algorithms; an entry is imported when its description is asked for."""

    def __getitem__(self, name: str) -> str:
        if name not in REGISTRY:
            raise KeyError(name)
        return REGISTRY.get(name).about

    def __iter__(self) -> Iterator[str]:
        return iter(REGISTRY)

    def __len__(self) -> int:
        return len(REGISTRY.names())

    def __contains__(self, name: object) -> bool:
        return name in REGISTRY


ALGORITHMS: Mapping[str, str] = _Descriptions()


@final
class _ReadyOptimizer(Algorithm):
    """An optimizer of the user's, over the gene values of the problem's own space."""

    about = "an optimizer made by hand"
    reduces = False

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def make(self, context: SearchContext) -> Optimizer:
        """The optimizer as it is."""
        return self._optimizer


@final
class _ConfiguredPymoo(Algorithm):
    """A configured pymoo algorithm of the user's."""

    about = "a configured pymoo algorithm"
    reduces = False

    def __init__(self, algorithm: Any) -> None:
        self._algorithm = algorithm

    def make(self, context: SearchContext) -> Optimizer:
        """A copy of it; `algorithm` itself stays as it is."""
        from evo_qnas.search.pymoo_bridge import configured

        return configured(self._algorithm, context.problem, seed=context.seed)


def algorithm_of(algorithm: Any) -> Algorithm:
    """The algorithm that a user means by a name, an `Algorithm`, an `Optimizer` or a pymoo algorithm.

    Raises:
        SearchError: there is no algorithm of this name; what is neither of the others is refused by `make`.
        PluginError: another package's algorithm cannot be imported.
    """
    if isinstance(algorithm, str):
        return REGISTRY.get(algorithm)
    if isinstance(algorithm, Algorithm):
        return algorithm
    return _ReadyOptimizer(algorithm) if isinstance(algorithm, Optimizer) else _ConfiguredPymoo(algorithm)


def name_of(algorithm: Any) -> str:
    """The name under which archives have it: as registered, the class's of an object, with `pymoo:` before pymoo's.

    Example:
        >>> name_of("nsga2")
        'nsga2'
    """
    if isinstance(algorithm, str):
        return algorithm
    name = type(algorithm).__name__
    return name if isinstance(algorithm, Algorithm | Optimizer) else f"pymoo:{name}"
