"""Gene values with their objectives and violations, as optimizers keep them."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Evaluated gene values, as `Optimizer.tell` takes them.

    Attributes:
        genes: (n, genes) integers.
        objectives: (n, m) float64, minimised; (0, 0) where there are no rows.
        violation: (n,) float64, 0 where every limit is met.
    """

    genes: Int[np.ndarray, "n genes"]
    objectives: Float[np.ndarray, "n m"]
    violation: Float[np.ndarray, " n"]

    @classmethod
    def empty(cls, genes: Int[np.ndarray, "n genes"]) -> "Population":
        """No rows, of genes like these."""
        return cls(genes=genes[:0], objectives=np.empty((0, 0)), violation=np.empty(0))

    def __len__(self) -> int:
        return len(self.genes)

    def joined(
        self,
        genes: Int[np.ndarray, "k genes"],
        objectives: Float[np.ndarray, "k m"],
        violation: Float[np.ndarray, " k"],
    ) -> "Population":
        """These rows, then further ones."""
        if not len(self):
            return Population(genes=genes, objectives=objectives, violation=violation)
        return Population(
            genes=np.concatenate([self.genes, genes]),
            objectives=np.concatenate([self.objectives, objectives]),
            violation=np.concatenate([self.violation, violation]),
        )

    def chosen(self, rows: Int[np.ndarray, " k"] | Bool[np.ndarray, " n"]) -> "Population":
        """Some of the rows."""
        return Population(genes=self.genes[rows], objectives=self.objectives[rows], violation=self.violation[rows])

    @property
    def evaluated(self) -> Bool[np.ndarray, " n"]:
        """(n,) bool: the evaluation did not fail, every objective is a number."""
        finite: np.ndarray = np.isfinite(self.objectives).all(axis=1) & np.isfinite(self.violation)
        return finite
