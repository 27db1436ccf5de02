"""Limits written as text: `latency_ms <= 4`, `score >= 0.2`, `2 <= max:latency_ms <= 4`, `distinct(operator) <= 3`."""

import re
from dataclasses import dataclass
from typing import final

import numpy as np

from evo_qnas.errors import ProblemError
from evo_qnas.problem.terms import Term, parse_term
from evo_qnas.tables import Tables

_SPLIT = re.compile(r"(<=|>=|==|=|<|>)")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`low <= term <= high`; an end may be infinite.

    Attributes:
        term: what is limited.
        low: smallest allowed value.
        high: largest allowed value.
    """

    term: Term
    low: float = -np.inf
    high: float = np.inf

    @property
    def sides(self) -> list[tuple[str, float, float]]:
        """(text, sign, bound) of each finite end: met where `sign * value <= bound`."""
        found = []
        if np.isfinite(self.high):
            found.append((f"{self.term.text} <= {self.high:.15g}", 1.0, self.high))
        if np.isfinite(self.low):
            found.append((f"{self.term.text} >= {self.low:.15g}", -1.0, -self.low))
        return found


def parse_limit(text: str, tables: Tables) -> Limit:
    """The limit that `text` states; numbers may carry thousands' underscores.

    Raises:
        ProblemError: the form or a number cannot be read, the range is empty, or the column is unknown.
    """
    parts = [part.strip() for part in _SPLIT.split(text)]
    signs, ends = parts[1::2], parts[0::2]
    if any(sign not in {"<=", ">="} for sign in signs):
        raise ProblemError(f"limit {text!r}: use <= or >=, for example 'latency_ms <= 4' or '2 <= latency_ms <= 4'")
    if len(signs) == 1:
        term, number = parse_term(ends[0], tables), _number(ends[1], text)
        return Limit(term=term, high=number) if signs[0] == "<=" else Limit(term=term, low=number)
    if len(signs) == 2 and signs[0] == signs[1]:
        first, last = _number(ends[0], text), _number(ends[2], text)
        low, high = (first, last) if signs[0] == "<=" else (last, first)
        if low > high:
            raise ProblemError(f"limit {text!r}: the range is empty, {low:.15g} lies above {high:.15g}")
        return Limit(term=parse_term(ends[1], tables), low=low, high=high)
    raise ProblemError(f"limit {text!r} cannot be read: write 'column <= number', '>=' or 'number <= column <= number'")


def _number(text: str, limit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ProblemError(f"limit {limit!r}: {text!r} is no number") from None
    if not np.isfinite(value):
        raise ProblemError(f"limit {limit!r}: the number must be finite")
    return value
