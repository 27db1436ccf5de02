"""Objectives and limits of a user's own: functions of a batch of networks, or slow ones of one network at a time."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any, final, overload

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import EvaluationError, ProblemError
from evo_qnas.fingerprints import digest
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
        noisy: whether equal networks may get unequal numbers; a resumed search then holds no stored value against a new
            one.
    """

    function: Callable[[Networks], Any]
    name: str
    unit: str = ""
    maximize: bool = False
    per_network: bool = False
    jobs: int = 1
    time_limit: float | None = None
    limit: bool = False
    noisy: bool = False

    def __post_init__(self) -> None:
        """Takes the unit from the name where none is given."""
        object.__setattr__(self, "unit", self.unit or unit_of(self.name))

    def __call__(self, networks: Networks) -> Any:
        """The function's result."""
        return self.function(networks)

    @property
    def reference(self) -> str:
        """`module:function`, from which the function can be imported again.

        What no import gives again has brackets in its reference: `module:partial(function)`, `module:Class()`,
        `module:Class().method`.
        """
        return _reference(self.function)

    @property
    def digest(self) -> str:
        """A hex digest of all that the function depends on, see `evo_qnas.fingerprints.digest`."""
        return digest(self.function)

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
    noisy: bool = False,
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
    noisy: bool = False,
) -> CustomObjective | Callable[[Callable[[Networks], Any]], CustomObjective]:
    """Makes a function of `Networks` an objective: batch in, `(n,)` numbers out, minimised unless `maximize`.

    Args:
        function: the function, where used as a plain decorator; anything that can be called, a `functools.partial` or
            an instance with `__call__` too.
        name: name of the objective; where absent the function's, or the class's of an instance.
        unit: unit of the numbers; empty takes the one that the name states (`peak_memory_kib`: KiB).
        maximize: whether more is better.
        per_network: the function is slow and takes one network at a time (`Networks` of length 1).
        jobs: processes for `per_network`.
        time_limit: seconds that one call of a `per_network` function may take; a network that takes longer is a failed
            evaluation.
        noisy: equal networks may get unequal numbers, as measured times do; a resumed search then holds no stored value
            against a new one.

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
            name=name or _name(chosen),
            unit=unit,
            maximize=maximize,
            per_network=per_network,
            jobs=jobs,
            time_limit=time_limit,
            noisy=noisy,
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
    return CustomObjective(function=item, name=_name(item))


def _name(function: Callable[..., Any]) -> str:
    """The name of a function, of the function in a partial, or of an instance's class."""
    if isinstance(function, partial):
        return _name(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


def _reference(function: Any) -> str:
    """`module:name`, with brackets where an import does not give it again."""
    if isinstance(function, partial):
        module, _, name = _reference(function.func).partition(":")
        return f"{module}:partial({name})"
    owner = function.__self__ if isinstance(function, MethodType) else None
    if owner is not None and not isinstance(owner, type):
        return f"{_reference(owner)}.{function.__name__}"
    name = getattr(function, "__qualname__", f"{type(function).__qualname__}()")
    # A process that was spawned knows the main module by another name.
    module = str(function.__module__).replace("__mp_main__", "__main__")
    return f"{module}:{name}"


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
