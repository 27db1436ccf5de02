"""Rules that end a search before its budget; none of them is part of its course."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from evo_qnas.archive import Archive, Evaluations
from evo_qnas.errors import ProblemError, SearchError
from evo_qnas.pareto import certificate, front_mask, nondominated, reference_coordinate
from evo_qnas.pareto.certificate import Certificate
from evo_qnas.pareto.polar import volume
from evo_qnas.problem import Problem
from evo_qnas.spaces import parse_limit
from evo_qnas.spaces.limits import Limit

# A front whose hypervolume has grown by less than this share stands still: a hundredth of what tells algorithms apart
# in the comparisons of `problems/suite.toml`.
PLATEAU_GAIN = 1e-4

Callback = Callable[[Archive], Any]


@final
class Stopping:
    """The rules of one search, asked after each generation; an archive goes on exactly without or with other ones."""

    def __init__(
        self,
        problem: Problem,
        *,
        until: str | Sequence[str] = (),
        plateau: int | None = None,
        time_limit: float | None = None,
        callback: Callback | None = None,
    ) -> None:
        """Reads the rules.

        Args:
            problem: searched.
            until: targets, all of which must be met: `hypervolume >= 0.999` (share of the optimum, for additive
                problems), `front >= 50` (networks on it), `feasible >= 1`, or a value of an objective such as `score <=
                0.5`.
            plateau: evaluations in which the front's hypervolume must grow by a ten-thousandth.
            time_limit: seconds of this call.
            callback: called with the archive so far; True ends the search.

        Raises:
            SearchError: a rule cannot be read, or names what the problem does not have.
        """
        self._problem = problem
        self._signs = np.array([-1.0 if info.maximize else 1.0 for info in problem.objectives])
        self._targets = [self._target(text) for text in ([until] if isinstance(until, str) else until)]
        if plateau is not None and (isinstance(plateau, bool) or not isinstance(plateau, int) or plateau < 1):
            raise SearchError(f"plateau must be a whole number of evaluations, got {plateau!r}")
        if time_limit is not None and not time_limit > 0:
            raise SearchError(f"time_limit must be seconds above 0, got {time_limit!r}")
        self._plateau = plateau
        self._time_limit = time_limit
        self._callback = callback
        self._start = time.monotonic()
        self._front = np.empty((0, len(problem.objectives)))
        self._past: deque[tuple[int, np.ndarray]] = deque()
        self._evaluations = self._feasible = 0

    def _target(self, text: str) -> tuple[Limit, Certificate | None]:
        """A target, with the optimum's hypervolume where it is measured against that."""
        try:
            limit = parse_limit(text)
        except ProblemError as error:
            raise SearchError(f"until: {error}") from error
        names = [info.name for info in self._problem.objectives]
        if limit.name == "hypervolume" and limit.name not in names:
            try:
                return limit, certificate(self._problem, np.empty((0, len(names))))
            except ProblemError as error:
                raise SearchError(
                    f"until {text!r} needs a known optimum, which this problem has not ({error}): take a value of an "
                    "objective, or plateau"
                ) from error
        if limit.name not in {*names, "front", "feasible"}:
            known = ", ".join(["hypervolume", "front", "feasible", *names])
            raise SearchError(f"until {text!r}: there is no {limit.name!r}; there are {known}")
        return limit, None

    def after(self, batch: Evaluations, snapshot: Callable[[], Archive]) -> str:
        """The reason to end after these evaluations, empty to go on.

        Args:
            batch: the next evaluations of the search.
            snapshot: gives the archive so far.
        """
        if self._targets or self._plateau is not None:
            self._take(batch)
        if self._targets and all(self._met(*target) for target in self._targets):
            return f"the target is met: {' and '.join(limit.text for limit, _ in self._targets)}"
        if self._plateau is not None and self._stands_still(self._plateau):
            return f"the hypervolume has grown by less than {PLATEAU_GAIN:g} of it in {self._plateau} evaluations"
        if self.out_of_time:
            return "time limit"
        return "callback" if self._callback is not None and self._callback(snapshot()) is True else ""

    @property
    def out_of_time(self) -> bool:
        """True once the time limit has passed."""
        return self._time_limit is not None and time.monotonic() - self._start >= self._time_limit

    def _take(self, batch: Evaluations) -> None:
        feasible = batch.objectives[batch.feasible]
        self._evaluations += len(batch)
        self._feasible += len(feasible)
        joined = np.concatenate([self._front, feasible])
        self._front = joined[nondominated(joined)] if len(joined) else joined

    def _met(self, limit: Limit, best: Certificate | None) -> bool:
        return bool(limit.holds(self._values(limit, best)).any())

    def _values(self, limit: Limit, best: Certificate | None) -> Float[np.ndarray, " _"]:
        """The values that a target is held against; one that meets it is enough."""
        if best is not None:
            scaled = (self._front - best.ideal) / (best.nadir - best.ideal)
            # A share that is met but for rounding is met.
            return np.array([volume(scaled, best.reference)[0] / best.best + 1e-12 if best.best > 0 else 0.0])
        names = [info.name for info in self._problem.objectives]
        if limit.name in names:
            at = names.index(limit.name)
            values: np.ndarray = self._front[:, at] * self._signs[at]
            return values
        return np.array([float(front_mask(self._front).sum() if limit.name == "front" else self._feasible)])

    def _stands_still(self, span: int) -> bool:
        self._past.append((self._evaluations, self._front))
        while len(self._past) > 1 and self._past[1][0] <= self._evaluations - span:
            self._past.popleft()
        before, old = self._past[0]
        if before > self._evaluations - span or not len(old):
            return False
        low, high = self._front.min(axis=0), self._front.max(axis=0)
        scale = np.where(high > low, high - low, 1.0)
        corner = np.full(len(low), reference_coordinate(volume((self._front - low) / scale, np.ones(len(low)))[0]))
        now, then = (volume((points - low) / scale, corner)[0] for points in (self._front, old))
        return bool(now - then < PLATEAU_GAIN * now)
