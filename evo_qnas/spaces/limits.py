"""Limits on a quantity by its name: `latency_ms <= 4`, `score >= 0.2`, `2 <= max:latency_ms <= 4`."""

import re
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float

from evo_qnas.errors import ProblemError

# Relative rounding of a sum: thousands of times float64's, and far below the precision of any measurement. What differs
# by less is equal, for limits and for fronts.
ROUNDING = 1e-12

_SPLIT = re.compile(r"(<=|>=|==|=|<|>)")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSide:
    """One finite end of a limit: `name <= number` (sign 1) or `name >= number` (sign -1).

    Attributes:
        name: the quantity.
        sign: 1.0 for an upper end, -1.0 for a lower one.
        number: the end.
    """

    name: str
    sign: float
    number: float

    @property
    def text(self) -> str:
        """The side for people, its number to 15 digits."""
        return f"{self.name} {'<=' if self.sign > 0 else '>='} {self.number:.15g}"

    @property
    def bound(self) -> float:
        """The number that `sign * quantity` must not exceed."""
        return self.sign * self.number

    def quantity(self, excess: float) -> float:
        """The quantity whose excess over the bound is `excess`.

        Example:
            >>> LimitSide(name="score", sign=-1.0, number=2.0).quantity(0.5)
            1.5
        """
        return self.number + self.sign * excess


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`low <= name <= high`; an end may be infinite.

    Attributes:
        name: the quantity, as it was written.
        low: smallest allowed value.
        high: largest allowed value.
    """

    name: str
    low: float = -np.inf
    high: float = np.inf

    @property
    def sides(self) -> tuple[LimitSide, ...]:
        """The finite ends, the upper one first."""
        ends = ((1.0, self.high), (-1.0, self.low))
        return tuple(LimitSide(name=self.name, sign=sign, number=end) for sign, end in ends if np.isfinite(end))

    @property
    def text(self) -> str:
        """The limit with every digit, as `parse_limit` reads it."""
        if np.isfinite(self.low) and np.isfinite(self.high):
            return f"{self.low!r} <= {self.name} <= {self.high!r}"
        return f"{self.name} >= {self.low!r}" if np.isfinite(self.low) else f"{self.name} <= {self.high!r}"

    def holds(self, values: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """(n,) bool: the quantities that lie within the limit."""
        inside: np.ndarray = (values >= self.low) & (values <= self.high)
        return inside


def is_limit(text: str) -> bool:
    """True for a text that states a limit; others name a function or are malformed.

    Example:
        >>> is_limit("max:latency_ms <= 4"), is_limit("module:function")
        (True, False)
    """
    return "<=" in text or ">=" in text


def parse_limit(text: str) -> Limit:
    """The limit that `text` states; numbers may carry thousands' underscores.

    Raises:
        ProblemError: the form or a number cannot be read, or the range is empty.

    Example:
        >>> parse_limit("2 <= latency_ms <= 4")
        Limit(name='latency_ms', low=2.0, high=4.0)
    """
    parts = [part.strip() for part in _SPLIT.split(text)]
    signs, ends = parts[1::2], parts[0::2]
    if any(sign not in {"<=", ">="} for sign in signs):
        raise ProblemError(f"limit {text!r}: use <= or >=, for example 'latency_ms <= 4' or '2 <= latency_ms <= 4'")
    if len(signs) == 1:
        number = _number(ends[1], text)
        return Limit(name=ends[0], high=number) if signs[0] == "<=" else Limit(name=ends[0], low=number)
    if len(signs) == 2 and signs[0] == signs[1]:
        first, last = _number(ends[0], text), _number(ends[2], text)
        low, high = (first, last) if signs[0] == "<=" else (last, first)
        if low > high:
            raise ProblemError(f"limit {text!r}: the range is empty, {low:.15g} lies above {high:.15g}")
        return Limit(name=ends[1], low=low, high=high)
    raise ProblemError(f"limit {text!r} cannot be read: write 'column <= number', '>=' or 'number <= column <= number'")


def _number(text: str, limit: str) -> float:
    """A finite number of a limit."""
    try:
        value = float(text)
    except ValueError:
        raise ProblemError(f"limit {limit!r}: {text!r} is no number") from None
    if not np.isfinite(value):
        raise ProblemError(f"limit {limit!r}: the number must be finite")
    return value
