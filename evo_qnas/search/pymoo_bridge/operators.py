"""Our sampling, crossover, mutation and duplicate check as pymoo's operators."""

from typing import Any, final

import numpy as np
from jaxtyping import Int
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.repair import Repair
from pymoo.core.sampling import Sampling

from evo_qnas.search.pymoo_bridge.genes import matrix_of
from evo_qnas.search.variation import Variation
from evo_qnas.search.visited import Visited

# Rounds of mutation before a visited child is replaced by a random network. Chosen, not measured.
_ROUNDS = 5


@final
class SeededSampling(Sampling):
    """The seeds, then gene values drawn without repetition."""

    def __init__(self, visited: Visited, seeds: Int[np.ndarray, "s genes"]) -> None:
        super().__init__()
        self._visited = visited
        self._seeds = seeds

    def _do(self, problem: Any, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        seeds = self._visited.filter_new(self._seeds)[:n_samples]
        others = self._visited.random(random_state, n_samples)
        return self._visited.filter_new(np.concatenate([seeds, others]))[:n_samples]


@final
class SeedsThenTheirs(Sampling):
    """Seeds, then a user's own sampling, as many as fit."""

    def __init__(self, seeds: np.ndarray, theirs: Sampling) -> None:
        super().__init__()
        self._seeds = seeds
        self._theirs = theirs

    def _do(self, problem: Any, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        others = np.asarray(self._theirs.do(problem, n_samples, random_state=random_state, **kwargs).get("X"))
        seeds = self._seeds[:n_samples]
        joined: np.ndarray = np.concatenate([seeds.astype(others.dtype), others[: n_samples - len(seeds)]])
        return joined


@final
class Cross(Crossover):
    """Our crossover on pymoo's (parents, matings, genes) block."""

    def __init__(self, variation: Variation) -> None:
        super().__init__(2, 1, prob=1.0)
        self._variation = variation

    def _do(self, problem: Any, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        return self._variation.cross(random_state, X[0].astype(np.int64), X[1].astype(np.int64))[None]


@final
class Mutate(Mutation):
    """Our mutation on a whole matrix."""

    def __init__(self, variation: Variation) -> None:
        super().__init__(prob=1.0)
        self._variation = variation

    def _do(self, problem: Any, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        return self._variation.mutate(random_state, X.astype(np.int64))


@final
class ReplaceVisited(Repair):
    """Mutates children that were visited before until they are new, and draws others in place of those that never are.

    Without it an algorithm that removes no duplicates asks again and again for what it knows, and one that does makes a
    hundred times as many children to find the few that are left of a small space.
    """

    def __init__(self, variation: Variation, visited: Visited, *, always: bool) -> None:
        """Takes what it needs.

        Args:
            variation: mutates.
            visited: record of the search.
            always: from the start, or only once half of the space was visited.
        """
        super().__init__()
        self._variation = variation
        self._visited = visited
        self._always = always

    def _do(self, problem: Any, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        if random_state is None or not (self._always or 2 * len(self._visited) > self._visited.space.size):
            return X
        values = X.astype(np.int64)
        for _ in range(_ROUNDS):
            old = self._visited.repeated(values)
            if not old.any():
                return values
            values = values.copy()
            values[old] = self._variation.mutate(random_state, values[old])
        old = self._visited.repeated(values)
        new = values[~old]
        drawn = self._visited.filter_new(np.concatenate([new, self._visited.random(random_state, len(values))]))[
            len(new) :
        ]
        rows = np.flatnonzero(old)[: len(drawn)]
        values = values.copy()
        values[rows] = drawn[: len(rows)]
        return values


@final
class DropVisited(DuplicateElimination):
    """Removes children that were ever evaluated, by their exact values instead of pymoo's distances."""

    def __init__(self, visited: Visited) -> None:
        super().__init__()
        self._visited = visited

    def do(self, pop: Any, *args: Any, return_indices: bool = False, to_itself: bool = True) -> Any:
        """The population without duplicates of itself, of the visited ones, or of the other populations handed in."""
        if not len(pop):
            return (pop, [], []) if return_indices else pop
        # The last population is the children found so far, which the search has not evaluated yet.
        several = [matrix_of(other) for other in (*args, pop) if len(other)]
        kept = np.flatnonzero(~self._visited.repeated(np.concatenate(several))[-len(pop) :]).tolist()
        if return_indices:
            return pop[kept], kept, sorted(set(range(len(pop))) - set(kept))
        return pop[kept]
