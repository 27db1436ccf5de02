"""Cards of instances drawn by the literature's definitions, such as `source` in `problems/suite.toml`."""

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, final

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from evo_qnas.cards import Card
from evo_qnas.compare.literature import BitProblem, Covering, Instance, Knapsacks, Landscape, Quadratic

Size = Annotated[int, Field(ge=1, le=5_000)]
Objectives = Annotated[int, Field(ge=1, le=20)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Correlation = Annotated[float, Field(ge=-1.0, le=1.0)]
# Tables of 2^(k + 1) numbers a bit and objective.
_MOST_LINKS = 20


class DrawnSource(Card):
    """An instance drawn from a seed: equal cards give equal instances."""

    objectives: ClassVar[list[str]] = []
    seed: Seed = 0

    @abstractmethod
    def instance(self) -> Instance:
        """The instance."""

    def problem(self) -> BitProblem:
        """The instance as a black box."""
        return BitProblem(self.instance())


class CorrelatedSource(DrawnSource):
    """An instance whose objectives are drawn together."""

    count: Objectives
    correlation: Correlation = 0.0

    @model_validator(mode="after")
    def _possible(self) -> "CorrelatedSource":
        if self.correlation * (self.count - 1) < -1.0:
            raise ValueError(f"{self.count} objectives cannot all have the correlation {self.correlation}")
        return self

    def uniform(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Float[np.ndarray, "m *shape"]:
        """Numbers uniform on 0 .. 1 for each objective, with this correlation between any two objectives.

        Source: Verel et al. 2013, section 2.3: normal numbers of the correlation 2 sin(pi rho / 6), through their
        distribution function.
        """
        from scipy.special import ndtr

        between = 2.0 * np.sin(np.pi * self.correlation / 6.0)
        matrix = np.full((self.count, self.count), between) + (1.0 - between) * np.eye(self.count)
        values, vectors = np.linalg.eigh(matrix)
        root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
        drawn = np.tensordot(root, rng.standard_normal((self.count, *shape)), axes=1)
        # Rounded, so that no library's last digit is in a fingerprint.
        uniform: np.ndarray = np.round(ndtr(drawn), 9)
        return uniform


@final
class KnapsackSource(DrawnSource):
    """Knapsacks of Zitzler & Thiele 1999."""

    kind: Literal["knapsack"]
    items: Size
    knapsacks: Objectives

    def instance(self) -> Knapsacks:
        """Weights and profits uniform on 10 .. 100, capacities half of the sum of weights."""
        rng = np.random.default_rng(self.seed)
        weights, profits = rng.integers(10, 101, size=(2, self.knapsacks, self.items)).astype(np.float64)
        return Knapsacks(profits=profits, weights=weights, capacities=weights.sum(axis=1) / 2.0)


@final
class QuadraticSource(CorrelatedSource):
    """Multi-objective quadratic programs (mUBQP) of Liefooghe, Verel & Hao 2014."""

    kind: Literal["mubqp"]
    bits: Size
    density: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8

    def instance(self) -> Quadratic:
        """Whole numbers uniform on -100 .. 100, correlated between the objectives; the same pairs are 0 in all."""
        rng = np.random.default_rng(self.seed)
        drawn = np.minimum(np.floor(self.uniform(rng, (self.bits, self.bits)) * 201.0), 200.0) - 100.0
        return Quadratic(matrices=drawn * (rng.random((self.bits, self.bits)) < self.density))


@final
class LandscapeSource(CorrelatedSource):
    """The rho-MNK landscapes of Verel et al. 2013, with random links."""

    kind: Literal["rho-mnk"]
    bits: Size
    links: Annotated[int, Field(ge=0, le=_MOST_LINKS)]

    @model_validator(mode="after")
    def _enough_bits(self) -> "LandscapeSource":
        if self.links >= self.bits:
            raise ValueError(f"a bit cannot be linked with {self.links} others: there are {self.bits} bits")
        return self

    def instance(self) -> Landscape:
        """Contributions uniform on 0 .. 1, correlated between the objectives."""
        rng = np.random.default_rng(self.seed)
        others = [
            rng.choice(np.delete(np.arange(self.bits), bit), self.links, replace=False) for bit in range(self.bits)
        ]
        links = np.concatenate([np.arange(self.bits)[:, None], np.array(others, dtype=np.int64)], axis=1)
        return Landscape(links=links, tables=self.uniform(rng, (self.bits, 2 ** (self.links + 1))))


@final
class CoveringSource(DrawnSource):
    """Set covering by Beasley's 1987 definition, with several costs."""

    kind: Literal["set-covering"]
    rows: Size
    columns: Size
    costs: Objectives
    density: Annotated[float, Field(gt=0.0, le=1.0)]

    def instance(self) -> Covering:
        """Costs uniform on 1 .. 100; each row covered by two columns at least, each column covering one row."""
        rng = np.random.default_rng(self.seed)
        covers = (rng.random((self.rows, self.columns)) < self.density).astype(np.int64)
        for row in range(self.rows):
            missing = max(0, min(2, self.columns) - int(covers[row].sum()))
            covers[row, rng.choice(np.flatnonzero(covers[row] == 0), missing, replace=False)] = 1
        empty = np.flatnonzero(covers.sum(axis=0) == 0)
        covers[rng.integers(0, self.rows, size=len(empty)), empty] = 1
        costs = rng.integers(1, 101, size=(self.costs, self.columns)).astype(np.float64)
        return Covering(costs=costs, covers=covers)
