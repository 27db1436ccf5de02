"""The interface of a search problem, ours and a user's own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.spaces import Additive, Space


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveInfo:
    """Name, unit and direction of one objective; values are minimised inside, signs change at the border only."""

    name: str
    unit: str = "1"
    maximize: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintInfo:
    """Name and unit of one constraint; its value is an excess, met where it is at most 0."""

    name: str
    unit: str = "1"


class Problem(ABC):
    """What a search needs to know of a problem.

    Contract (tested by `evo_qnas.testing.ProblemContract`): `evaluate` is a function of the genomes alone, row by row;
    it leaves its argument unchanged; shapes are those below. NaN marks a network that could not be evaluated.
    """

    @property
    @abstractmethod
    def space(self) -> Space:
        """The genomes that a search may try."""

    @property
    @abstractmethod
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """The m objectives."""

    @property
    @abstractmethod
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """The k constraints, in the order of the columns that `evaluate` gives and of the limits of `additive`."""

    @abstractmethod
    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives, all to be minimised (a maximised one is negated), and constraint excesses (met where <= 0)."""

    @property
    @abstractmethod
    def additive(self) -> Additive | None:
        """The problem as sums over genes, or None where an objective or limit is no such sum.

        Its limits follow the order of `constraints`, one each: exact fronts hold one against the other by column.
        """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hex digest that changes when any value that `evaluate` uses changes; archives are held against it."""
