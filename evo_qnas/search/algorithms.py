"""Algorithms by name: ours, pymoo's, and those that other packages register."""

from collections.abc import Iterator, Mapping
from typing import Any, final

from evo_qnas.errors import SearchError
from evo_qnas.registry import Registry
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext
from evo_qnas.search.own import AskTell, OwnAlgorithm, OwnOptimizer, factory_name

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
class _ReadyAskTell(Algorithm):
    """An object of the user's with `ask` and `tell` over genomes."""

    about = "an object with ask and tell"
    reduces = False

    def __init__(self, own: AskTell) -> None:
        self._own = own

    def make(self, context: SearchContext) -> Optimizer:
        """The object as it is, behind `Optimizer`."""
        return OwnOptimizer(self._own, context)


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
    """The algorithm that a user means.

    Args:
        algorithm: a name; an `Algorithm`; a class with `ask` and `tell` (or what makes its objects); an object of one,
            an `Optimizer` (each for one run), or a configured pymoo algorithm.

    Raises:
        SearchError: there is no algorithm of this name; what is neither of the others is refused by `make`.
        PluginError: another package's algorithm cannot be imported.
    """
    if isinstance(algorithm, str):
        return REGISTRY.get(algorithm)
    if isinstance(algorithm, Algorithm):
        return algorithm
    if isinstance(algorithm, Optimizer):
        return _ReadyOptimizer(algorithm)
    if is_of_pymoo(algorithm):
        return _ConfiguredPymoo(algorithm)
    if callable(algorithm):
        return OwnAlgorithm(algorithm)
    return _ReadyAskTell(algorithm) if isinstance(algorithm, AskTell) else _ConfiguredPymoo(algorithm)


def serves_once(algorithm: Any) -> bool:
    """True for objects that hold the state of one search."""
    ready = isinstance(algorithm, AskTell) and not isinstance(algorithm, type) and not is_of_pymoo(algorithm)
    return isinstance(algorithm, Optimizer) or (ready and not isinstance(algorithm, Algorithm))


def is_of_pymoo(algorithm: Any) -> bool:
    """True for pymoo's algorithms and what inherits from them, told without importing pymoo."""
    kind = algorithm if isinstance(algorithm, type) else type(algorithm)
    return any(base.__module__ == "pymoo.core.algorithm" for base in kind.__mro__)


def name_of(algorithm: Any) -> str:
    """The name under which archives have it: as registered, the class's of an object, with `pymoo:` before pymoo's.

    Example:
        >>> name_of("nsga2")
        'nsga2'
    """
    if isinstance(algorithm, str):
        return algorithm
    if is_of_pymoo(algorithm):
        return f"pymoo:{type(algorithm).__name__}"
    if isinstance(algorithm, Algorithm) and algorithm.label:
        return algorithm.label
    if not isinstance(algorithm, Algorithm | Optimizer) and callable(algorithm):
        return factory_name(algorithm)
    name = type(algorithm).__name__
    return name if isinstance(algorithm, Algorithm | Optimizer | AskTell) else f"pymoo:{name}"
