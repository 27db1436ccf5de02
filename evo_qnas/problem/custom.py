"""Objectives and limits of a user's own: functions of a batch of networks."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import joblib
import numpy as np
from jaxtyping import Float

from evo_qnas.errors import EvaluationError, ProblemError
from evo_qnas.problem.networks import Networks


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CustomObjective:
    """A user's function as an objective or as a limit (an excess, met where it is at most 0).

    Attributes:
        function: takes `Networks`, gives (n,) numbers; with `per_network` takes `Networks` of length 1 and gives one.
        name: unique among the objectives.
        unit: unit of the numbers.
        maximize: whether more is better.
        per_network: call once for each network, spread over `jobs` processes.
        jobs: processes for `per_network`.
    """

    function: Callable[[Networks], Any]
    name: str
    unit: str = "1"
    maximize: bool = False
    per_network: bool = False
    jobs: int = 1

    def __call__(self, networks: Networks) -> Any:
        """What the function gives."""
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
        """(n,) float64, NaN where a network could not be evaluated.

        Raises:
            EvaluationError: the function raises on a whole batch, or gives another shape or no numbers.
        """
        if self.per_network:
            rows = [Networks(tables=networks.tables, genomes=networks.genomes[i : i + 1]) for i in range(len(networks))]
            calls = (joblib.delayed(_single)(self.function, row) for row in rows)
            return np.array(joblib.Parallel(n_jobs=self.jobs)(calls), dtype=np.float64)
        handed = Networks(tables=networks.tables, genomes=networks.genomes.copy())
        try:
            given = self.function(handed)
        except Exception as error:
            raise EvaluationError(f"objective {self.name!r} raised {type(error).__name__}: {error}") from error
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise EvaluationError(f"objective {self.name!r} gave no numbers: {error}") from error
        if values.shape != (len(networks),):
            raise EvaluationError(
                f"objective {self.name!r} must give one number per network, "
                f"shape ({len(networks)},), got {values.shape}"
            )
        return values


def _single(function: Callable[[Networks], Any], network: Networks) -> float:
    """The value of one network; NaN where the function raises, so that one bad network does not end a search."""
    try:
        return float(np.asarray(function(network), dtype=np.float64).reshape(()))
    except Exception:
        return float("nan")


def objective(
    function: Callable[[Networks], Any] | None = None,
    *,
    name: str | None = None,
    unit: str = "1",
    maximize: bool = False,
    per_network: bool = False,
    jobs: int = 1,
) -> Any:
    """Makes a function of `Networks` an objective: batch in, `(n,)` numbers out, minimised unless `maximize`.

    Args:
        function: the function, where used as a plain decorator.
        name: name of the objective, the function's where absent.
        unit: unit of the numbers.
        maximize: whether more is better.
        per_network: the function is slow and takes one network at a time (`Networks` of length 1).
        jobs: processes for `per_network`; the function must then be importable by name.

    Example:
        >>> @objective(unit="bits")
        ... def widest(networks: Networks) -> np.ndarray:
        ...     return networks.weight_bits.max(axis=1)
        >>> widest.name, widest.unit
        ('widest', 'bits')
    """

    def make(chosen: Callable[[Networks], Any]) -> CustomObjective:
        return CustomObjective(
            function=chosen,
            name=name or chosen.__name__,
            unit=unit,
            maximize=maximize,
            per_network=per_network,
            jobs=jobs,
        )

    return make if function is None else make(function)


def import_objective(text: str) -> CustomObjective:
    """The objective that `module:function` names.

    Raises:
        ProblemError: it cannot be imported, or is no function.
    """
    module, _, name = text.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ProblemError(f"objective {text!r} cannot be imported: {error}") from error
    if isinstance(found, CustomObjective):
        return found
    if not callable(found):
        raise ProblemError(f"objective {text!r} is a {type(found).__name__}, not a function of networks")
    made = objective(found)
    if not isinstance(made, CustomObjective):
        raise ProblemError(f"objective {text!r} is no function of networks")
    return made
