"""What an optimizer was told and keeps."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Gene values with what they are worth, as `Optimizer.tell` takes them.

    Attributes:
        genes: (n, genes) integers.
        objectives: (n, m) float64, minimised; (0, 0) before anything was told.
        violation: (n,) float64, 0 where every limit is met.
    """

    genes: Int[np.ndarray, "n genes"]
    objectives: Float[np.ndarray, "n m"]
    violation: Float[np.ndarray, " n"]

    @classmethod
    def nothing(cls, genes: Int[np.ndarray, "n genes"]) -> "Told":
        """No rows, of genes like these."""
        return cls(genes=genes[:0], objectives=np.empty((0, 0)), violation=np.empty(0))

    def __len__(self) -> int:
        return len(self.genes)

    def joined(
        self,
        genes: Int[np.ndarray, "k genes"],
        objectives: Float[np.ndarray, "k m"],
        violation: Float[np.ndarray, " k"],
    ) -> "Told":
        """These rows, then further ones."""
        if not len(self):
            return Told(genes=genes, objectives=objectives, violation=violation)
        return Told(
            genes=np.concatenate([self.genes, genes]),
            objectives=np.concatenate([self.objectives, objectives]),
            violation=np.concatenate([self.violation, violation]),
        )

    def chosen(self, rows: Int[np.ndarray, " k"] | Bool[np.ndarray, " n"]) -> "Told":
        """Some of the rows."""
        return Told(genes=self.genes[rows], objectives=self.objectives[rows], violation=self.violation[rows])

    @property
    def sound(self) -> Bool[np.ndarray, " n"]:
        """(n,) bool: evaluated, every objective a number."""
        found: np.ndarray = np.isfinite(self.objectives).all(axis=1) & np.isfinite(self.violation)
        return found
