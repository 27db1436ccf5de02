"""The course of a search: per generation the evaluations so far, the feasible ones, and the front's hypervolume."""

from dataclasses import dataclass
from itertools import pairwise
from typing import final

import moocore
import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import front_among
from evo_qnas.pareto.fronts import reference_coordinate, undominated
from evo_qnas.pareto.polar import Fan, is_exact

# Rows of a history: a picture's width; hypervolumes of three and more objectives take longer.
MOST_ROWS = 500
MOST_ROWS_MANY = 16
# Steps and rows that are worked on together, for the processor's cache.
STEPS_AT_ONCE = 100
ROWS_AT_ONCE = 20_000


@final
@dataclass(frozen=True, kw_only=True)
class History:
    """One row per generation, thinned evenly to at most 500 (16 with three and more objectives), the last included.

    Objectives are minimised and scaled to the final front's range, `(objective - ideal) / (nadir - ideal)`; the
    hypervolume is what the front so far dominates below `reference` in each of them.

    Attributes:
        generation: (rows,) int64.
        evaluations: (rows,) int64, evaluations up to and including the generation.
        feasible: (rows,) int64, how many of them are feasible.
        hypervolume: (rows,) float64; estimated for many points of four and more objectives (`evo_qnas.pareto.polar`).
        error: (rows,) float64, half the width of its 95 % interval; 0 where it is exact.
        ideal: (m,) float64, smallest value of the final front; NaN where nothing is feasible.
        nadir: (m,) float64, largest value of the final front (of all feasible networks where the front has no range).
        reference: the reference point's coordinate in every scaled objective, see `reference_coordinate`.
    """

    generation: Int[np.ndarray, " rows"]
    evaluations: Int[np.ndarray, " rows"]
    feasible: Int[np.ndarray, " rows"]
    hypervolume: Float[np.ndarray, " rows"]
    error: Float[np.ndarray, " rows"]
    ideal: Float[np.ndarray, " m"]
    nadir: Float[np.ndarray, " m"]
    reference: float = 1.0

    def __len__(self) -> int:
        return len(self.generation)


Traced = tuple[np.ndarray, History]


def traced(evaluations: Evaluations) -> Traced:
    """The rows of the front (see `front_rows`) and the history; a function of the evaluations alone."""
    feasible = evaluations.feasible
    m = evaluations.objectives.shape[1]
    last = np.flatnonzero(np.diff(evaluations.generation, append=np.int32(-1)))
    most = MOST_ROWS if m <= 2 else MOST_ROWS_MANY
    if len(last) > most:
        last = last[np.unique(np.linspace(0, len(last) - 1, most).round().astype(np.int64))]
    rows = np.flatnonzero(feasible)
    fronts: list[np.ndarray] = []
    estimated = False
    if m > 3:
        best = front_among(evaluations.objectives, rows)
        estimated = not is_exact(len(best), m)
    if m == 2:
        rows = _ever_best(evaluations.objectives, rows, np.searchsorted(last, rows))
        best = front_among(evaluations.objectives, rows)
    elif not estimated:
        fronts = _fronts(evaluations.objectives, rows, np.searchsorted(last, rows), len(last))
        best = front_among(evaluations.objectives, np.sort(fronts[-1] if fronts else rows))
    ideal = nadir = np.full(m, np.nan)
    volumes, errors, reference = np.zeros(len(last)), np.zeros(len(last)), 1.0
    if len(best):
        ideal, nadir = _range(evaluations.objectives, best, feasible)
        span = np.where(nadir > ideal, nadir - ideal, 1.0)
        scaled = [(evaluations.objectives[part] - ideal) / span for part in fronts or [rows]]
        step = np.searchsorted(last, rows)
        course = _estimates if estimated else _volumes
        volumes, errors = course(scaled, step, len(last), reference)
        reference = reference_coordinate(volumes[-1])
        if reference != 1.0:
            volumes, errors = course(scaled, step, len(last), reference)
    return best, History(
        generation=evaluations.generation[last].astype(np.int64),
        evaluations=(last + 1).astype(np.int64),
        feasible=np.cumsum(feasible, dtype=np.int64)[last],
        hypervolume=volumes,
        error=errors,
        ideal=ideal,
        nadir=nadir,
        reference=reference,
    )


def _volumes(
    scaled: list[np.ndarray], step: Int[np.ndarray, " _"], steps: int, reference: float
) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]:
    """Hypervolume of every step and its error: of all points ever best in two objectives, else of each step's front."""
    if len(scaled) == 1 and scaled[0].shape[1] == 2:
        return _areas(scaled[0], step, steps, reference), np.zeros(steps)
    return np.array([_volume(points, reference) for points in scaled]), np.zeros(steps)


def _estimates(
    scaled: list[np.ndarray], step: Int[np.ndarray, " _"], steps: int, reference: float
) -> tuple[Float[np.ndarray, " steps"], Float[np.ndarray, " steps"]]:
    """The same along directions, step after step, of all feasible points."""
    corner, fan = np.full(scaled[0].shape[1], reference), Fan.of(scaled[0].shape[1])
    reached, course = None, []
    for points in np.split(scaled[0], np.searchsorted(step, np.arange(1, steps))):
        reached = fan.reach(points, corner, reached)
        course.append(fan.volume(reached))
    volumes, errors = np.array(course).T
    return volumes, errors


def _range(
    objectives: Float[np.ndarray, "n m"], best: Int[np.ndarray, " _"], feasible: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Ideal and nadir of the front; where it has no range, the largest feasible value stands for the nadir."""
    ideal, nadir = objectives[best].min(axis=0), objectives[best].max(axis=0)
    if (nadir <= ideal).any():
        nadir = np.where(nadir > ideal, nadir, objectives[feasible].max(axis=0))
    return ideal, nadir


def _ever_best(
    objectives: Float[np.ndarray, "n 2"], rows: Int[np.ndarray, " _"], step: Int[np.ndarray, " _"]
) -> Int[np.ndarray, " _"]:
    """The rows that no row of their own or an earlier step beats or equals before them."""
    kept = []
    front = objectives[:0]
    for first in range(0, len(rows), ROWS_AT_ONCE):
        here, when = rows[first : first + ROWS_AT_ONCE], step[first : first + ROWS_AT_ONCE]
        if len(front):
            # The front falls in the second objective as it rises in the first: one neighbour decides.
            left = np.searchsorted(front[:, 0], objectives[here, 0], side="right") - 1
            new = (left < 0) | (front[left, 1] > objectives[here, 1])
            here, when = here[new], when[new]
        if not len(here):
            continue
        # Time is one more thing to be minimised.
        best = moocore.is_nondominated(np.column_stack([objectives[here], when]), keep_weakly=True)
        kept.append(here[best])
        joined = np.concatenate([front, objectives[here[best]]])
        front = joined[moocore.is_nondominated(joined)]
        front = front[np.argsort(front[:, 0])]
    return np.concatenate(kept) if kept else rows


def _areas(
    points: Float[np.ndarray, "n 2"], step: Int[np.ndarray, " n"], steps: int, reference: float
) -> Float[np.ndarray, " steps"]:
    """Hypervolume of the points of steps `0 .. s` for every `s`, in two objectives, many steps at once.

    The area is a sum of strips between neighbouring first objectives. A strip's height is set by the least second
    objective to its left, which over all steps is a running minimum in two directions.
    """
    volumes = np.zeros(steps)
    front = points[:0]
    bounds = np.searchsorted(step, np.arange(steps + 1))
    for first in range(0, steps, STEPS_AT_ONCE):
        stop = min(first + STEPS_AT_ONCE, steps)
        new = slice(bounds[first], bounds[stop])
        here = np.concatenate([front, points[new]])
        at = np.concatenate([np.zeros(len(front), dtype=np.int64), step[new] - first])
        inside = (here < reference).all(axis=1)
        here, at = here[inside], at[inside]
        order = np.argsort(here[:, 0], kind="stable")
        floor = np.full((stop - first, len(here)), reference)
        floor[at[order], np.arange(len(here))] = here[order, 1]
        np.minimum.accumulate(floor, axis=0, out=floor)
        np.minimum.accumulate(floor, axis=1, out=floor)
        widths = np.diff(here[order, 0], append=reference)
        volumes[first:stop] = (reference - floor) @ widths
        front = here[moocore.is_nondominated(here)] if len(here) else here
    return volumes


def _fronts(
    objectives: Float[np.ndarray, "n m"], rows: Int[np.ndarray, " _"], step: Int[np.ndarray, " _"], steps: int
) -> list[Int[np.ndarray, " _"]]:
    """Per step `s` the rows that no row of steps `0 .. s` beats, equal ones included; `step` does not fall.

    In three objectives beaten rows stay in all but the last step while they are few: they cost a hypervolume less time
    than finding them would. Rows are sorted by the last objective, which spares it a quarter of its time.
    """
    fronts = []
    front = rows[:0]
    most = ROWS_AT_ONCE if objectives.shape[1] == 3 else 0
    bounds = np.searchsorted(step, np.arange(steps + 1))
    for index, (start, stop) in enumerate(pairwise(bounds.tolist())):
        front = np.concatenate([front, rows[start:stop]])
        if len(front) > most or index == steps - 1:
            front = front[undominated(objectives[front])]
            most = max(most, 2 * len(front))
        front = front[np.argsort(objectives[front, -1])]
        fronts.append(front)
    return fronts


def _volume(front: Float[np.ndarray, "n m"], reference: float) -> float:
    """The hypervolume of one scaled front."""
    m = front.shape[1]
    front = front[(front < reference).all(axis=1)]
    if not len(front):
        return 0.0
    if m == 1:
        return float(reference - front.min())
    return float(moocore.hypervolume(front, ref=np.full(m, reference)))
