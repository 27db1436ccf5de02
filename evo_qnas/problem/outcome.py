"""Outcomes of an evaluation: shapes checked, failures kept apart with their reasons."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int, UInt8

from evo_qnas.errors import EvaluationError
from evo_qnas.problem.custom import RaisedError, as_numbers

# Larger numbers have no span and no area in float64.
_LARGEST = float(np.finfo(np.float64).max) / 4.0

OK, FAILED, TIMED_OUT = 0, 1, 2


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Some evaluated networks of a batch.

    Attributes:
        rows: (r,) int64, which rows of the batch these are.
        objectives: (r, m) float64, minimised; NaN where not ok.
        constraints: (r, k) float64 excesses; NaN where not ok.
        state: (r,) uint8: 0 ok, 1 failed, 2 timed out.
        reasons: position in this outcome to why it is not ok.
        seconds: (r,) float64, wall time of each network; a batch's time is shared out evenly.
    """

    rows: Int[np.ndarray, " r"]
    objectives: Float[np.ndarray, "r m"]
    constraints: Float[np.ndarray, "r k"]
    state: UInt8[np.ndarray, " r"]
    reasons: Mapping[int, str]
    seconds: Float[np.ndarray, " r"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """The values that a problem's `evaluate` must return, by name, and the checks of what it does return.

    Attributes:
        who: name of the problem's class, for messages.
        objectives: names of the m objectives.
        constraints: names of the k constraints.
    """

    who: str
    objectives: tuple[str, ...]
    constraints: tuple[str, ...]

    def outcome(
        self,
        evaluate: Callable[[Int[np.ndarray, "n blocks"]], Any],
        genomes: Int[np.ndarray, "n blocks"],
        *,
        copy: bool = True,
    ) -> Outcome:
        """The batch in one call, else row by row.

        Args:
            evaluate: objectives and constraint excesses of genomes.
            genomes: the networks; stays unchanged.
            copy: hand over a copy; False where no code of a user's could change its argument.

        Raises:
            EvaluationError: the values have another shape or are no numbers.
        """
        start = time.perf_counter()
        try:
            returned = evaluate(genomes.copy() if copy else genomes)
        except Exception as error:
            # A wrong form is a defect of the code for all networks, not of one network.
            if isinstance(error, EvaluationError) and not isinstance(error, RaisedError):
                raise
            if len(genomes) > 1:
                rows = range(len(genomes))
                return _join([self.outcome(evaluate, genomes[row : row + 1], copy=copy) for row in rows])
            text = str(error) if isinstance(error, EvaluationError) else f"{type(error).__name__}: {error}"
            return self.failed(0, time.perf_counter() - start, text, FAILED)
        values = self.checked(returned, len(genomes))
        seconds = np.full(len(genomes), (time.perf_counter() - start) / len(genomes))
        return self.finite(np.arange(len(genomes), dtype=np.int64), values, seconds)

    def checked(self, returned: Any, n: int) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives and constraints of `n` networks as float64.

        Raises:
            EvaluationError: they are no pair of arrays of numbers with the shapes of the contract.
        """
        who = f"{self.who}.evaluate"
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise EvaluationError(f"{who} must give a pair (objectives, constraints), got {type(returned).__name__}")
        arrays = []
        for kind, part, width in zip(
            ("objectives", "constraints"), returned, (len(self.objectives), len(self.constraints)), strict=True
        ):
            numbers = (
                as_numbers(part, f"{who}: {kind}", limit=kind == "constraints")
                if np.size(part)
                else np.empty(np.shape(part))
            )
            if numbers.shape != (n, width):
                raise EvaluationError(f"{who} must give {kind} of shape ({n}, {width}), got {numbers.shape}")
            arrays.append(numbers)
        return arrays[0], arrays[1]

    def finite(
        self,
        rows: Int[np.ndarray, " r"],
        values: tuple[Float[np.ndarray, "r m"], Float[np.ndarray, "r k"]],
        seconds: Float[np.ndarray, " r"],
    ) -> Outcome:
        """Evaluated rows; those with a value that is not finite, or beyond 4e307, are failed and blank."""
        together = np.concatenate(values, axis=1)
        sound = np.abs(together) <= _LARGEST
        bad = ~sound.all(axis=1)
        names = [*self.objectives, *self.constraints]
        reasons = {}
        for row in np.flatnonzero(bad):
            at = int(np.flatnonzero(~sound[row])[0])
            value = together[row, at]
            reasons[int(row)] = f"{names[at]!r} is {value}{', too large a number' if np.isfinite(value) else ''}"
        together[bad] = np.nan
        objectives, constraints = np.split(together, [values[0].shape[1]], axis=1)
        state = np.where(bad, FAILED, OK).astype(np.uint8)
        return Outcome(
            rows=rows, objectives=objectives, constraints=constraints, state=state, reasons=reasons, seconds=seconds
        )

    def failed(self, row: int, seconds: float, reason: str, state: int) -> Outcome:
        """One network that could not be evaluated."""
        return Outcome(
            rows=np.array([row], dtype=np.int64),
            objectives=np.full((1, len(self.objectives)), np.nan),
            constraints=np.full((1, len(self.constraints)), np.nan),
            state=np.array([state], dtype=np.uint8),
            reasons={0: reason},
            seconds=np.array([seconds]),
        )


def _join(parts: list[Outcome]) -> Outcome:
    """Single rows as one outcome."""
    return Outcome(
        rows=np.arange(len(parts), dtype=np.int64),
        objectives=np.concatenate([part.objectives for part in parts]),
        constraints=np.concatenate([part.constraints for part in parts]),
        state=np.concatenate([part.state for part in parts]),
        reasons={row: part.reasons[0] for row, part in enumerate(parts) if 0 in part.reasons},
        seconds=np.concatenate([part.seconds for part in parts]),
    )
