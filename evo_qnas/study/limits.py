"""Limits on validated networks, such as `size_bytes <= 0.6x`."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from evo_qnas.cards import nearest
from evo_qnas.errors import ProblemError
from evo_qnas.summary import Int8Teacher, ValidatedNetwork

_LIMIT = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?[\d_.]+(?:e[-+]?\d+)?)\s*(x?)\s*", re.IGNORECASE)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
# A metric counts as it is on the search examples: what is chosen by the test examples is no test any more.
_SOURCES = {"size_bytes": "size_bytes", "latency_ms": "latency_ms", "metric": "metric_search_split"}
COLUMNS = tuple(_SOURCES)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit on one number of a network.

    Attributes:
        text: as it was written.
        column: one of `COLUMNS`.
        sign: `<=`, `>=`, `<` or `>`.
        value: of the limit.
        relative: the value is a factor of the teacher's in INT8.
    """

    text: str
    column: str
    sign: str
    value: float
    relative: bool

    @classmethod
    def read(cls, text: str) -> "Limit":
        """The limit that a text says.

        Raises:
            ProblemError: it says none, or one on something else.

        Example:
            >>> Limit.read("size_bytes <= 0.6x").relative
            True
        """
        found = _LIMIT.fullmatch(text)
        if found is None:
            raise ProblemError(
                f"the limit {text!r} cannot be read: write it as 'size_bytes <= 0.6x' or 'latency_ms <= 4'"
            )
        column, sign, value, times = found.groups()
        if column not in COLUMNS:
            raise ProblemError(f"the limit {text!r} is on {column!r}; {nearest(column, list(COLUMNS))}")
        return cls(text=text, column=column, sign=sign, value=float(value), relative=bool(times))

    def met(self, network: ValidatedNetwork, teacher: Int8Teacher | None) -> bool:
        """True where a network meets the limit.

        Raises:
            ProblemError: the number was not measured, or there is no teacher in INT8 to take a share of.
        """
        value = getattr(network, _SOURCES[self.column])
        if value is None:
            raise ProblemError(f"the limit {self.text!r} needs {self.column}, which was not measured in this run")
        bound = self.value
        if self.relative:
            whole = None if teacher is None else getattr(teacher, _SOURCES[self.column])
            if whole is None:
                raise ProblemError(
                    f"the limit {self.text!r} is relative to the teacher in INT8, which this run has not: offer 8 "
                    "weight and 8 activation bits, or give a number"
                )
            bound *= whole
        return _COMPARE[self.sign](value, bound)


def best_of(
    networks: Sequence[ValidatedNetwork], teacher: Int8Teacher | None, limits: Sequence[str], *, maximize: bool
) -> ValidatedNetwork:
    """The network with the best metric on the search examples within all limits; of equal ones the smallest.

    The metric on the test examples takes no part, so that it stays what it says of the chosen network.

    Raises:
        ProblemError: no network meets the limits.
    """
    read = [Limit.read(text) for text in limits]
    fitting = [network for network in networks if all(limit.met(network, teacher) for limit in read)]
    if not fitting:
        least = min((network.size_bytes for network in networks), default=None)
        raise ProblemError(
            f"no validated network meets {' and '.join(limits)}: the smallest has "
            f"{'none' if least is None else f'{least:,} bytes'}; lower validation.size_shares, or ease the limit"
        )
    sign = -1.0 if maximize else 1.0
    return min(fitting, key=lambda network: (sign * network.metric_search_split, network.size_bytes))
