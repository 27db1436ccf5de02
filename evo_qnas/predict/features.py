"""The inputs of a predictor: options of a network, their labels, and columns of tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.problem import Problem
from evo_qnas.spaces import Gene, Space
from evo_qnas.tables import Tables

# Bits over which the likeness of two options falls to 37 %. Chosen, not measured.
_WEIGHT_BITS, _ACTIVATION_BITS = 2.0, 4.0


@final
@dataclass(frozen=True, kw_only=True)
class Features:
    """Networks of a space as numbers.

    Attributes:
        space: gives gene values their meaning.
        columns: per gene (options, s) float64, what each option adds to `s` known sums; the first one is the score that
            the plain sum is taken of. `s` may be 0.
        fixed: (s,) float64, the constant part of each sum.
    """

    space: Space
    columns: tuple[Float[np.ndarray, "_ s"], ...]
    fixed: Float[np.ndarray, " s"]

    @classmethod
    def of(cls, space: Space, tables: Tables | None = None, *, names: Sequence[str] | None = None) -> "Features":
        """Features of a space, with the columns of its tables as far as they are numbers.

        Args:
            space: the genes.
            tables: whose blocks the space chooses from; None for a space without.
            names: the columns to use, the score first; None takes `score` first where there is one, then all others.
        """
        known = [] if tables is None else _usable(tables, names)
        columns = []
        for gene in space.genes:
            rows = [
                sum(
                    tables.column(name).values[block][gene.options[:, member]]
                    for member, block in enumerate(gene.blocks)
                )
                for name in known
                if tables is not None
            ]
            columns.append(np.stack(rows, axis=1) if rows else np.empty((len(gene.options), 0)))
        fixed = np.array([tables.column(name).fixed for name in known if tables is not None], dtype=np.float64)
        return cls(space=space, columns=tuple(columns), fixed=fixed)

    @classmethod
    def of_problem(cls, problem: Problem, space: Space) -> "Features":
        """Features of a problem's space, or of a part of it; with the tables where the problem has some."""
        return cls.of(space, problem.tables)

    @property
    def sums(self) -> int:
        """The number of known sums."""
        return len(self.fixed)

    def totals(self, genes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, "n s"]:
        """The known sums of networks."""
        total = np.tile(self.fixed, (len(genes), 1))
        for index, values in enumerate(self.columns):
            total += values[genes[:, index]]
        return total

    def shares(self, genes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, "n parts"]:
        """The part of every gene in every sum, scaled to mean 0 and variance 1 over its options; `(n, parts)`."""
        parts = [
            (values - values.mean(axis=0))[genes[:, index]] / _or_one(values.std(axis=0))
            for index, values in enumerate(self.columns)
        ]
        return np.concatenate(parts, axis=1) if parts else np.empty((len(genes), 0))

    def scaled_totals(self, genes: Int[np.ndarray, "n genes"]) -> Float[np.ndarray, "n parts"]:
        """The sums, and the logarithms of those that are always positive, scaled by their spread over the space."""
        middle, spread, least = self._scales
        total = self.totals(genes)
        parts = [(total - middle) / spread]
        positive = least > 0
        if positive.any():
            # To first order the logarithm moves by the sum's spread over its middle.
            parts.append(np.log(total[:, positive] / middle[positive]) * middle[positive] / spread[positive])
        return np.concatenate(parts, axis=1)

    @cached_property
    def _scales(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(s,) each: mean and standard deviation over the space, and the smallest value."""
        middle = self.fixed + sum(values.mean(axis=0) for values in self.columns)
        spread = _or_one(np.sqrt(sum(values.var(axis=0) for values in self.columns) + np.zeros(self.sums)))
        return middle, spread, self.fixed + sum(values.min(axis=0) for values in self.columns)

    @cached_property
    def likeness(self) -> tuple[Float[np.ndarray, "_ _"], ...]:
        """Per gene (options, options): how alike its options are, 1 on the diagonal, positive semi-definite."""
        return tuple(_likeness(gene) for gene in self.space.genes)


def _usable(tables: Tables, names: Sequence[str] | None) -> list[str]:
    """Columns that add up and in which all is finite, the score first."""
    candidates = sorted(tables.columns, key=lambda name: name != "score") if names is None else list(names)
    return [
        name
        for name in candidates
        if tables.column(name).combine == "sum" and all(np.isfinite(part).all() for part in tables.column(name).values)
    ]


def _likeness(gene: Gene) -> Float[np.ndarray, "options options"]:
    """The mean of: the same option, the same operator, near bits; parts that are the same for all are left out."""
    parts = [np.eye(len(gene.options))]
    operator = (gene.operator[:, None] == gene.operator[None, :]).astype(np.float64)
    weight = np.abs(gene.weight_bits[:, None] - gene.weight_bits[None, :])
    activation = np.abs(gene.activation_bits[:, None] - gene.activation_bits[None, :])
    bits = np.exp(-weight / _WEIGHT_BITS - activation / _ACTIVATION_BITS)
    if not operator.all() and operator.sum() > len(operator):
        parts.append(operator)
    if (bits < 1).any():
        parts.append(bits)
        parts.append(bits * operator)
    mean: np.ndarray = np.mean(np.stack(parts), axis=0)
    return mean


def _or_one(values: Float[np.ndarray, " s"]) -> Float[np.ndarray, " s"]:
    return np.where(values > 0, values, 1.0)
