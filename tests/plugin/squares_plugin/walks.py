"""A search algorithm: one random network after another."""

from typing import final

import numpy as np

from evo_qnas.search import Algorithm, Optimizer, SearchContext
from evo_qnas.spaces import Space


@final
class Walk(Optimizer):
    """One random row at a time."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self.space, self.rng = space, rng
        self.answered = 0

    def ask(self) -> np.ndarray:
        return self.rng.integers(0, self.space.counts, size=(1, len(self.space.genes)))

    def tell(self, genes: np.ndarray, objectives: np.ndarray, violation: np.ndarray) -> None:
        self.answered += 1


@final
class Walks(Algorithm):
    """An algorithm as another package would have it."""

    about = "one random network after another"

    def make(self, context: SearchContext) -> Optimizer:
        return Walk(context.space, context.rng)
