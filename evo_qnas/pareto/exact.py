"""The exact front of an additive problem."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import InfeasibleError, ProblemError
from evo_qnas.pareto.fronts import nondominated
from evo_qnas.problem import Problem
from evo_qnas.spaces import Additive


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExactFront:
    """The front of an additive problem, or one within a proven distance of it.

    Attributes:
        genomes: (n, blocks) int64, one network per point, sorted by the first objective, then the next ones.
        objectives: (n, m) float64, as `Problem.evaluate` gives them.
        guarantee: (m,) float64, zeros where the front is exact; else each feasible network `x` has a returned one `r`
            with `r <= x + guarantee` in every objective.
    """

    genomes: Int[np.ndarray, "n blocks"]
    objectives: Float[np.ndarray, "n m"]
    guarantee: Float[np.ndarray, " m"]

    @property
    def exact(self) -> bool:
        """Whether no point of the true front is missing."""
        return not self.guarantee.any()


def exact_front(problem: Problem, *, max_points: int = 2_000_000, guarantee: float | None = None) -> ExactFront:
    """The true front of a problem whose objectives and limits are all additive.

    Raises:
        ProblemError: an objective or limit is no sum over the blocks.
        InfeasibleError: no network meets the limits.
    """
    additive = problem.additive
    if additive is None:
        raise ProblemError(
            "the exact front needs objectives and limits that are sums over blocks: use a search instead"
        )
    genes = _merged(additive)
    genomes = problem.space.decode(genes)
    objectives, excess = problem.evaluate(genomes)
    keep: np.ndarray = (excess <= 0.0).all(axis=1)
    keep[keep] = nondominated(objectives[keep])
    if not keep.any():
        raise InfeasibleError("no network meets the limits")
    order = np.lexsort(objectives[keep].T[::-1])
    return ExactFront(
        genomes=genomes[keep][order], objectives=objectives[keep][order], guarantee=np.zeros(len(additive.offset))
    )


def _merged(additive: Additive) -> Int[np.ndarray, "n genes"]:
    """Gene values of all sums that no other sum beats in every objective and limit."""
    m = len(additive.offset)
    options = [np.hstack([o, x]) for o, x in zip(additive.objectives, additive.limits, strict=True)]
    spare = additive.bounds - sum(part[:, m:].min(axis=0) for part in options)
    values, genes = np.zeros((1, options[0].shape[1])), np.empty((1, 0), dtype=np.int64)
    for part in options:
        spare = spare + part[:, m:].min(axis=0)
        sums = (values[:, None, :] + part[None, :, :]).reshape(-1, part.shape[1])
        keep = nondominated(sums) & (sums[:, m:] <= spare + 1e-9 * np.abs(additive.bounds)).all(axis=1)
        rows = np.flatnonzero(keep)
        values = sums[rows]
        genes = np.column_stack([genes[rows // len(part)], rows % len(part)])
    return genes
