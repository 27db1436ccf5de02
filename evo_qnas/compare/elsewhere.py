"""Results that were made elsewhere, as algorithms of a comparison: archives, and plain arrays of objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from evo_qnas.archive import FAILED, OK, Archive, Evaluations, Header
from evo_qnas.archive.front import signs
from evo_qnas.arrays import given_numbers
from evo_qnas.errors import SearchError
from evo_qnas.problem import DeclaredProblem, ObjectiveInfo, Problem

_WHAT = "results made elsewhere"


@final
class Elsewhere:
    """The runs of one algorithm, made elsewhere: for each seed an archive, or the objectives of its evaluations in
    order.

    Arrays are (n, m), each objective in its own direction; rows with NaN failed, and all others count as feasible.
    """

    def __init__(self, results: Any) -> None:
        """Takes one result or several.

        Raises:
            SearchError: one is neither an archive nor a matrix of numbers.
        """
        several = [results] if isinstance(results, Archive) or _is_matrix(results) else list(results)
        if not several or not all(isinstance(item, Archive) or _is_matrix(item) for item in several):
            raise SearchError("results made elsewhere must be archives or matrices of objectives, one for each seed")
        self._results = several

    def __len__(self) -> int:
        return len(self._results)

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """Names and directions, of the first archive; of arrays f1, f2, .., minimised."""
        for result in self._results:
            if isinstance(result, Archive):
                return result.header.objectives
        return tuple(
            ObjectiveInfo(name=f"f{index + 1}") for index in range(given_numbers(self._results[0], _WHAT).shape[1])
        )

    def evaluations(self, run: int, problem: Problem) -> Evaluations:
        """All evaluations of one run, minimised.

        Raises:
            SearchError: they are of other objectives than the problem's.
        """
        result = self._results[run]
        infos = problem.objectives
        if isinstance(result, Archive):
            if result.header.objectives != infos:
                raise SearchError(f"an archive made elsewhere is of other objectives: {_names(result.header)}")
            return result.evaluations
        values = given_numbers(result, _WHAT)
        if values.shape[1] != len(infos):
            raise SearchError(f"results made elsewhere have {values.shape[1]} objectives, the problem {len(infos)}")
        state = np.where(np.isfinite(values).all(axis=1), OK, FAILED).astype(np.uint8)
        minimised = values * signs([info.maximize for info in infos])
        made = Evaluations.ok(np.zeros((len(values), 0), dtype=np.int64), minimised, np.zeros((len(values), 0)))
        return replace(made, state=state)

    def __reduce__(self) -> tuple[Any, ...]:
        """For worker processes."""
        return Elsewhere, (self._results,)


def is_results(value: Any) -> bool:
    """True for an archive, a matrix of numbers, or a sequence of these."""
    if isinstance(value, Elsewhere | Archive) or _is_matrix(value):
        return True
    return (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(v, Archive) or _is_matrix(v) for v in value)
    )


def problem_of_results(results: Mapping[str, Any]) -> Problem:
    """A problem of names alone for results without one."""
    first = next(iter(results.values()))
    infos = (first if isinstance(first, Elsewhere) else Elsewhere(first)).objectives
    return DeclaredProblem([1], infos)


def _is_matrix(value: Any) -> bool:
    """True for a two-dimensional array of numbers; lists of rows count."""
    if isinstance(value, np.ndarray):
        return value.ndim == 2 and value.dtype.kind in "iuf"
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    return all(isinstance(row, Sequence) and all(isinstance(v, int | float) for v in row) for row in value)


def _names(header: Header) -> str:
    return ", ".join(f"{info.name}{' (maximised)' if info.maximize else ''}" for info in header.objectives)
