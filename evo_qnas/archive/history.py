"""How a search went: per generation the evaluations so far, the feasible ones, and the front's hypervolume."""

from dataclasses import dataclass
from typing import final

import moocore
import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.evaluations import Evaluations

REFERENCE = 1.1
MOST_ROWS = 24


@final
@dataclass(frozen=True, kw_only=True)
class History:
    """One row per generation; with three and more objectives about 24 generations, evenly spread, the last included.

    Objectives are minimised and scaled to the final front's range, `(objective - ideal) / (nadir - ideal)`; the
    hypervolume is what the front so far dominates below `reference` in each of them.

    Attributes:
        generation: (rows,) int64.
        evaluations: (rows,) int64, evaluations up to and including the generation.
        feasible: (rows,) int64, how many of them are feasible.
        hypervolume: (rows,) float64.
        ideal: (m,) float64, smallest value of the final front; NaN where nothing is feasible.
        nadir: (m,) float64, largest value of the final front (of all feasible networks where the front has no range).
        reference: the reference point's coordinate in every scaled objective.
    """

    generation: Int[np.ndarray, " rows"]
    evaluations: Int[np.ndarray, " rows"]
    feasible: Int[np.ndarray, " rows"]
    hypervolume: Float[np.ndarray, " rows"]
    ideal: Float[np.ndarray, " m"]
    nadir: Float[np.ndarray, " m"]
    reference: float = REFERENCE

    def __len__(self) -> int:
        return len(self.generation)


def history_of(evaluations: Evaluations, best: Int[np.ndarray, " n"]) -> History:
    """The history of evaluations whose front is in the rows `best`; a function of the evaluations alone."""
    feasible = evaluations.feasible
    m = evaluations.objectives.shape[1]
    last = np.flatnonzero(np.diff(evaluations.generation, append=np.int32(-1)))
    if m > 2 and len(last) > MOST_ROWS:
        last = last[np.unique(np.linspace(0, len(last) - 1, MOST_ROWS).round().astype(np.int64))]
    counts = np.cumsum(feasible)[last] if len(last) else np.zeros(0, dtype=np.int64)
    ideal = nadir = np.full(m, np.nan)
    volumes = np.zeros(len(last))
    if len(best):
        front = evaluations.objectives[best]
        ideal, nadir = front.min(axis=0), front.max(axis=0)
        flat = nadir <= ideal
        if flat.any():
            nadir = np.where(flat, evaluations.objectives[feasible].max(axis=0), nadir)
        rows = np.flatnonzero(feasible)
        span = np.where(nadir > ideal, nadir - ideal, 1.0)
        points = (evaluations.objectives[rows] - ideal) / span
        volumes = _volumes(points, np.searchsorted(last, rows), len(last))
    return History(
        generation=evaluations.generation[last].astype(np.int64),
        evaluations=(last + 1).astype(np.int64),
        feasible=counts.astype(np.int64),
        hypervolume=volumes,
        ideal=ideal,
        nadir=nadir,
    )


def _volumes(points: Float[np.ndarray, "n m"], step: Int[np.ndarray, " n"], steps: int) -> Float[np.ndarray, " steps"]:
    """Hypervolume of the points of steps `0 .. s` for every `s`; `step` does not fall."""
    volumes = np.zeros(steps)
    front = points[:0]
    bounds = np.searchsorted(step, np.arange(steps + 1))
    for index in range(steps):
        new = points[bounds[index] : bounds[index + 1]]
        if len(new):
            front = moocore.filter_dominated(np.concatenate([front, new]))
        volumes[index] = moocore.hypervolume(front, ref=np.full(points.shape[1], REFERENCE)) if len(front) else 0.0
    return volumes
