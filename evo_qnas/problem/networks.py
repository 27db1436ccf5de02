"""A batch of networks as a user's objective sees it."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.tables import Tables


@final
@dataclass(frozen=True, kw_only=True)
class Networks:
    """A batch of networks: genomes, and the labels and columns of their choices.

    Attributes:
        tables: choices and columns.
        genomes: (n, blocks) int64, choice indices.
    """

    tables: Tables
    genomes: Int[np.ndarray, "n blocks"]

    def __len__(self) -> int:
        return len(self.genomes)

    @cached_property
    def positions(self) -> Int[np.ndarray, "n blocks"]:
        """(n, blocks) int64, positions in arrays that hold all choices of all blocks one after another."""
        positions: np.ndarray = self.tables.starts + self.genomes
        return positions

    @property
    def operators(self) -> np.ndarray:
        """(n, blocks) operator names, an object array of str."""
        flat = np.array([name for block in self.tables.blocks for name in block.operators], dtype=object)
        names: np.ndarray = flat[self.positions]
        return names

    @property
    def weight_bits(self) -> Int[np.ndarray, "n blocks"]:
        """(n, blocks) int64, bits."""
        bits: np.ndarray = np.concatenate([block.weight_bits for block in self.tables.blocks])[self.positions]
        return bits

    @property
    def activation_bits(self) -> Int[np.ndarray, "n blocks"]:
        """(n, blocks) int64, bits."""
        bits: np.ndarray = np.concatenate([block.activation_bits for block in self.tables.blocks])[self.positions]
        return bits

    def column(self, name: str) -> Float[np.ndarray, "n blocks"]:
        """(n, blocks) float64, the column's value of each block's choice, without the fixed part.

        Raises:
            TableError: the tables have no such column.
        """
        return np.concatenate(self.tables.column(name).values).take(self.positions)
