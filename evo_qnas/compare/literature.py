"""Problems of the literature over bits, as black boxes: nothing of their structure is known to a search.

Instances are drawn here by the published definitions, from a seed of ours; they are not the published files.
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.problem import ConstraintInfo, ObjectiveInfo, Problem
from evo_qnas.spaces import Additive, Space


class Instance(ABC):
    """One instance of a published problem: a function of bits."""

    about: str
    maximize: bool = True
    limit: str | None = None

    @property
    @abstractmethod
    def bits(self) -> int:
        """The number of bits."""

    @property
    @abstractmethod
    def objectives(self) -> int:
        """The number of objectives."""

    @abstractmethod
    def values(self, bits: Int[np.ndarray, "n bits"]) -> Float[np.ndarray, "n m"]:
        """Objectives in their own direction."""

    def excess(self, bits: Int[np.ndarray, "n bits"]) -> Float[np.ndarray, " n"]:
        """By how much the limit is missed, where there is one."""
        return np.zeros(len(bits))


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Knapsacks(Instance):
    """Items that go into all knapsacks at once; a set that is too heavy is repaired before it is counted.

    Source: Zitzler & Thiele 1999, section V-A: weights and profits uniform on 10 .. 100, capacities half of the sum of
    weights, and their greedy repair: items leave in rising order of their largest ratio of profit to weight.

    Attributes:
        profits: (m, items) of each knapsack.
        weights: (m, items) of each knapsack.
        capacities: (m,) of each knapsack.
    """

    about = "profit"
    profits: Float[np.ndarray, "m items"]
    weights: Float[np.ndarray, "m items"]
    capacities: Float[np.ndarray, " m"]

    @property
    def bits(self) -> int:
        """One for each item."""
        return int(self.profits.shape[1])

    @property
    def objectives(self) -> int:
        """One for each knapsack."""
        return len(self.profits)

    def repaired(self, bits: Int[np.ndarray, "n bits"]) -> Int[np.ndarray, "n bits"]:
        """The items that stay: the best ones, until what is left of the worst ones fits all capacities."""
        order = np.argsort((self.profits / self.weights).max(axis=0), kind="stable")
        taken = bits[:, order]
        # Weight of an item and of all better ones: the worst items leave until the rest fits.
        rest = np.cumsum((taken[:, None, :] * self.weights[:, order])[:, :, ::-1], axis=2)[:, :, ::-1]
        fits = (rest <= self.capacities[:, None]).all(axis=1)
        kept = np.zeros_like(bits)
        kept[:, order] = taken * fits
        return kept

    def values(self, bits: Int[np.ndarray, "n bits"]) -> Float[np.ndarray, "n m"]:
        """Profits of the repaired sets."""
        profits: np.ndarray = self.repaired(bits) @ self.profits.T
        return profits


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quadratic(Instance):
    """Unconstrained binary quadratic programs over the same bits: the sum of `q[i, j] x[i] x[j]` over all pairs.

    Source: Liefooghe, Verel & Hao 2014, equation 1.

    Attributes:
        matrices: (m, bits, bits) of each objective.
    """

    about = "value"
    matrices: Float[np.ndarray, "m bits bits"]

    @property
    def bits(self) -> int:
        """The rows of a matrix."""
        return int(self.matrices.shape[1])

    @property
    def objectives(self) -> int:
        """One for each matrix."""
        return len(self.matrices)

    def values(self, bits: Int[np.ndarray, "n bits"]) -> Float[np.ndarray, "n m"]:
        """The quadratic forms."""
        real = bits.astype(np.float64)
        return np.stack([((real @ matrix) * real).sum(axis=1) for matrix in self.matrices], axis=1)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Landscape(Instance):
    """Mean contributions of bits, each a table over the bit and some linked ones, the same links in all objectives.

    Source: Verel, Liefooghe, Jourdan & Dhaenens 2013, section 2.3 (rho-MNK landscapes).

    Attributes:
        links: (bits, k + 1) each bit, then those that it is linked with.
        tables: (m, bits, 2^(k + 1)) contributions by the number that the bits of `links` are, the first counting most.
    """

    about = "fitness"
    links: Int[np.ndarray, "bits linked"]
    tables: Float[np.ndarray, "m bits states"]

    @property
    def bits(self) -> int:
        """The rows of the links."""
        return len(self.links)

    @property
    def objectives(self) -> int:
        """One for each table."""
        return len(self.tables)

    def values(self, bits: Int[np.ndarray, "n bits"]) -> Float[np.ndarray, "n m"]:
        """Mean contributions."""
        linked = self.links.shape[1]
        state = np.zeros(bits.shape, dtype=np.int64)
        for column in range(linked):
            state += bits[:, self.links[:, column]] << (linked - 1 - column)
        return np.stack([table[np.arange(len(self.links)), state].mean(axis=1) for table in self.tables], axis=1)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covering(Instance):
    """Columns of several costs that together cover all rows; the number of uncovered rows is limited to 0.

    Source: Beasley 1987 (the instances' definition); Jaszkiewicz 2003 (a second cost, drawn like the first).

    Attributes:
        costs: (m, columns).
        covers: (rows, columns) 1 where the column covers the row.
    """

    about = "cost"
    maximize = False
    limit = "uncovered_rows"
    costs: Float[np.ndarray, "m columns"]
    covers: Int[np.ndarray, "rows columns"]

    @property
    def bits(self) -> int:
        """One for each column."""
        return int(self.costs.shape[1])

    @property
    def objectives(self) -> int:
        """The number of costs."""
        return len(self.costs)

    def values(self, bits: Int[np.ndarray, "n bits"]) -> Float[np.ndarray, "n m"]:
        """Costs of the chosen columns."""
        costs: np.ndarray = bits @ self.costs.T
        return costs

    def excess(self, bits: Int[np.ndarray, "n bits"]) -> Float[np.ndarray, " n"]:
        """Uncovered rows."""
        uncovered: np.ndarray = (bits @ self.covers.T == 0).sum(axis=1).astype(np.float64)
        return uncovered


@final
class BitProblem(Problem):
    """An instance as a black box: a genome is its bits, and nothing is known of sums.

    Example:
        >>> both = np.array([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [0.0, 0.0]]])
        >>> BitProblem(Quadratic(matrices=both)).evaluate(np.array([[1, 1], [0, 1]]))[0].tolist()
        [[-3.0, -3.0], [-2.0, -0.0]]
    """

    fully_fingerprinted = True

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._space = Space.from_counts([2] * instance.bits)

    @property
    def space(self) -> Space:
        """All strings of bits."""
        return self._space

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """The instance's objectives, numbered."""
        made = self._instance
        names = [f"{made.about}{index + 1}" for index in range(made.objectives)]
        return tuple(ObjectiveInfo(name=name, unit="1", maximize=made.maximize) for name in names)

    @property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """The instance's limit, where there is one."""
        limit = self._instance.limit
        return () if limit is None else (ConstraintInfo(name=limit, unit="1"),)

    @property
    def additive(self) -> Additive | None:
        """None: a black box."""
        return None

    @property
    def fingerprint(self) -> str:
        """A digest of the instance's numbers."""
        mark = hashlib.sha256(type(self._instance).__name__.encode())
        made: Any = self._instance
        for field in fields(made):
            array = getattr(made, field.name)
            mark.update(f"{field.name}{array.shape}".encode() + array.tobytes())
        return mark.hexdigest()

    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives and the limit's excess."""
        values = self._instance.values(genomes)
        excess = self._instance.excess(genomes)[:, None]
        return -values if self._instance.maximize else values, excess[:, : len(self.constraints)]
