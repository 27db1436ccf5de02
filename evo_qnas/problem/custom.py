"""Objectives and limits of a user's own: functions of a batch of networks, or slow ones of one network at a time."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final, overload

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import EvaluationError, ProblemError
from evo_qnas.problem.networks import Networks
from evo_qnas.tables import unit_of


class RaisedError(EvaluationError):
    """A user's function raised; with other networks it may not."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CustomObjective:
    """A user's function as an objective or as a limit (an excess, met where it is at most 0).

    Attributes:
        function: takes `Networks`, gives (n,) numbers; with `per_network` takes `Networks` of length 1 and gives one.
        name: unique among the objectives.
        unit: unit of the numbers; by default the one that the name states.
        maximize: whether more is better.
        per_network: call once for each network, results kept, spread over `jobs` processes.
        jobs: processes for `per_network`.
        time_limit: seconds that one call of a `per_network` function may take; None for no limit.
        limit: it is a limit; of booleans True means that it is met.
    """

    function: Callable[[Networks], Any]
    name: str
    unit: str = ""
    maximize: bool = False
    per_network: bool = False
    jobs: int = 1
    time_limit: float | None = None
    limit: bool = False

    def __post_init__(self) -> None:
        """Takes the unit from the name where none is given."""
        object.__setattr__(self, "unit", self.unit or unit_of(self.name))

    def __call__(self, networks: Networks) -> Any:
        """The function's result."""
        return self.function(networks)

    @property
    def reference(self) -> str:
        """`module:function`, from which the function can be imported again."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    @property
    def source(self) -> str:
        """The function's source text where Python knows it, else its reference; part of fingerprints."""
        try:
            return inspect.getsource(self.function)
        except (OSError, TypeError):
            return self.reference

    def values(self, networks: Networks) -> Float[np.ndarray, " n"]:
        """(n,) float64 of one call for the whole batch; NaN marks networks that could not be evaluated.

        Raises:
            RaisedError: the function raises.
            EvaluationError: it gives another shape or no numbers.
        """
        # A copy each: what one function writes into its argument must not reach the next.
        handed = Networks(tables=networks.tables, genomes=networks.genomes.copy())
        try:
            returned = self.function(handed)
        except Exception as error:
            raise RaisedError(f"objective {self.name!r} raised {type(error).__name__}: {error}") from error
        values = as_numbers(returned, f"objective {self.name!r}", limit=self.limit)
        if values.shape != (len(networks),):
            raise EvaluationError(
                f"objective {self.name!r} must give one number per network, "
                f"shape ({len(networks)},), got {values.shape}"
            )
        return values


def as_numbers(returned: Any, who: str, *, limit: bool = False) -> Float[np.ndarray, "..."]:
    """The result of a user's function as a new float64 array, NaN where a mask hides it.

    Args:
        returned: the result.
        who: the beginning of messages.
        limit: it is an excess, met where it is at most 0; of booleans True means that it is met.

    Raises:
        EvaluationError: it is no array of real numbers; the text begins with `who`.
    """
    try:
        numbers = returned if isinstance(returned, np.ma.MaskedArray) else np.asarray(returned)
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"got {type(returned).__name__} of {numbers.dtype}")
        excess = ~numbers if limit and numbers.dtype.kind == "b" else numbers
        return np.array(np.ma.filled(excess.astype(np.float64), np.nan))
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{who} gave no numbers: {error}") from error


@overload
def objective(function: Callable[[Networks], Any]) -> CustomObjective: ...


@overload
def objective(
    *,
    name: str | None = None,
    unit: str = "",
    maximize: bool = False,
    per_network: bool = False,
    jobs: int = 1,
    time_limit: float | None = None,
) -> Callable[[Callable[[Networks], Any]], CustomObjective]: ...


def objective(
    function: Callable[[Networks], Any] | None = None,
    *,
    name: str | None = None,
    unit: str = "",
    maximize: bool = False,
    per_network: bool = False,
    jobs: int = 1,
    time_limit: float | None = None,
) -> CustomObjective | Callable[[Callable[[Networks], Any]], CustomObjective]:
    """Makes a function of `Networks` an objective: batch in, `(n,)` numbers out, minimised unless `maximize`.

    Args:
        function: the function, where used as a plain decorator.
        name: name of the objective, the function's where absent.
        unit: unit of the numbers; empty takes the one that the name states (`peak_memory_kib`: KiB).
        maximize: whether more is better.
        per_network: the function is slow and takes one network at a time (`Networks` of length 1).
        jobs: processes for `per_network`.
        time_limit: seconds that one call of a `per_network` function may take; a network that takes longer is a failed
            evaluation.

    Raises:
        ProblemError: a setting of slow functions without `per_network`, or one out of range.

    Example:
        >>> @objective(unit="bits")
        ... def widest(networks: Networks) -> np.ndarray:
        ...     return networks.weight_bits.max(axis=1)
        >>> widest.name, widest.unit
        ('widest', 'bits')
    """
    if not per_network and (jobs != 1 or time_limit is not None):
        raise ProblemError("jobs and time_limit are for functions of one network: add per_network=True")
    if time_limit is not None and not time_limit > 0:
        raise ProblemError(f"time_limit = {time_limit!r} must be seconds above 0, or None for no limit")

    def make(chosen: Callable[[Networks], Any]) -> CustomObjective:
        return CustomObjective(
            function=chosen,
            name=name or chosen.__name__,
            unit=unit,
            maximize=maximize,
            per_network=per_network,
            jobs=jobs,
            time_limit=time_limit,
        )

    return make if function is None else make(function)


def as_objective(item: Any) -> CustomObjective:
    """The objective of a function, or the one that `objective` made.

    Raises:
        ProblemError: it cannot be called.
    """
    if isinstance(item, CustomObjective):
        return item
    if not callable(item):
        raise ProblemError(f"{item!r} is neither the name of a column nor a function of networks")
    name = getattr(item, "__name__", type(item).__name__)
    return CustomObjective(function=item, name=name)


def import_objective(text: str) -> CustomObjective:
    """The objective that `module:function` names.

    Raises:
        ProblemError: it cannot be imported, or is no function.
    """
    module, _, name = text.partition(":")
    try:
        target: Any = importlib.import_module(module)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ProblemError(f"objective {text!r} cannot be imported: {error}") from error
    if not callable(target):
        raise ProblemError(f"objective {text!r} is a {type(target).__name__}, not a function of networks")
    return as_objective(target)
