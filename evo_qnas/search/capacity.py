"""The number of networks that NSGA-II keeps from one generation to the next."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityTuning:
    """Numbers of `Capacity`, chosen by measurements on generated tables (`benchmarks/search_speed.py`).

    Attributes:
        low_turnover: the capacity grows while the front's turnover is below it, and shrinks otherwise.
        growth: factor by which the capacity grows or shrinks in a generation.
        largest: most populations that fit in.
        memory: weight of the earlier generations in the turnover.
    """

    low_turnover: float = 0.03
    growth: float = 1.3
    largest: int = 50
    memory: float = 0.8


_TUNING = CapacityTuning()


@final
class Capacity:
    """The number of networks that may be kept: one population at least, more while the front hardly changes.

    The turnover of the front is the share of the old first rank that children beat, per population of children, as a
    running mean. Where it is low, children still fill the front's gaps and deserve room; where it rises, selection must
    press again.
    """

    def __init__(self, population: int) -> None:
        self._population = population
        self._capacity = float(population)
        self._turnover: float | None = None

    @property
    def value(self) -> float:
        """The capacity now."""
        return self._capacity

    def size(self, first: Bool[np.ndarray, " n"], before: Bool[np.ndarray, " old"]) -> int:
        """The number of networks to keep: one population, or the whole first rank as far as the capacity allows it.

        Args:
            first: which of the old population, then its children, are of the first rank.
            before: which of the old population were.
        """
        front = int(first.sum())
        most = float(_TUNING.largest * self._population)
        if not len(before):
            self._capacity = min(most, float(max(self._population, front)))
            return int(self._capacity)
        beaten = float((~first[: len(before)][before]).mean()) * self._population / (len(first) - len(before))
        memory = _TUNING.memory
        self._turnover = beaten if self._turnover is None else memory * self._turnover + (1.0 - memory) * beaten
        calm = self._turnover < _TUNING.low_turnover
        self._capacity = self._capacity * _TUNING.growth if calm else self._capacity / _TUNING.growth
        self._capacity = min(most, max(float(self._population), self._capacity))
        return int(min(self._capacity, max(self._population, front)))
