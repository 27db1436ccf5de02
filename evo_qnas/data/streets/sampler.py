"""Random draws for scenes, the same on every machine: uniform numbers only, no functions of the C library."""

from collections.abc import Sequence
from typing import TypeVar, final, no_type_check

import numpy as np

Thing = TypeVar("Thing")
Number = int | float

# Uniform numbers made at once.
_TRANCHE = 256


@final
@no_type_check  # a run-time checker of types would make tests of scenes many times slower
class Sampler:
    """Draws from uniform numbers that are made many at a time, since a single draw by numpy costs microseconds."""

    def __init__(self, rng: np.random.Generator) -> None:
        """Args: rng: the source."""
        self.rng = rng
        self._rest: list[float] = []

    def share(self) -> float:
        """Evenly in 0..1."""
        if not self._rest:
            self._rest = self.rng.random(_TRANCHE).tolist()
        return self._rest.pop()

    def between(self, low: Number, high: Number) -> float:
        """Evenly in low..high."""
        return low + (high - low) * self.share()

    def around(self, middle: Number, swing: Number) -> float:
        """In middle - swing .. middle + swing, near the middle more often."""
        return middle + swing * (self.share() + self.share() - 1.0)

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return self.share() < probability

    def whole(self, low: int, high: int) -> int:
        """A whole number of low..high, both included."""
        return low + int(self.share() * (high - low + 1))

    def one_of(self, things: Sequence[Thing]) -> Thing:
        """One of some things, all alike."""
        return things[int(self.share() * len(things))]
