"""Indicators: what a front is worth against a reference front, and how soon a run got there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import moocore
import numpy as np
from jaxtyping import Bool, Float

from evo_qnas.compare.case import KnownFront
from evo_qnas.compare.runs import Run
from evo_qnas.pareto import front_mask, hypervolume, hypervolume_share, nondominated, reference_coordinate

# Shares of the reference's hypervolume whose cost is reported: one, two and three nines.
TARGETS = (0.9, 0.99, 0.999)
# Points of a curve: enough for a picture's width.
CHECKPOINTS = 50
# Share of an objective's range within which two points are one: sums differ in their last digits.
_EQUAL = 1e-9


@final
@dataclass(frozen=True, kw_only=True)
class Reference:
    """The front that all runs of a case are held against, and the scale of every indicator.

    Objectives are scaled to this front's range, `(objective - ideal) / (nadir - ideal)`. The reference point is 1.0 in
    each scaled objective, or 1.1 where the front would have no volume below that; so `volume` and shares agree with
    `certificate`.

    Attributes:
        points: (n, m) float64, minimised.
        ideal: (m,) float64, its smallest values.
        nadir: (m,) float64, its largest values.
        point: coordinate of the reference point in each scaled objective.
        volume: its hypervolume, scaled.
        exact: whether it is the true front.
        how: how it was found.
    """

    points: Float[np.ndarray, "n m"]
    ideal: Float[np.ndarray, " m"]
    nadir: Float[np.ndarray, " m"]
    point: float
    volume: float
    exact: bool
    how: str

    def scaled(self, values: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
        """Objectives on the scale of the indicators."""
        scaled: np.ndarray = (values - self.ideal) / (self.nadir - self.ideal)
        return scaled

    def share(self, values: Float[np.ndarray, "n m"]) -> float:
        """Hypervolume of some networks' objectives as a share of this front's."""
        reached = hypervolume(self.scaled(values), np.full(len(self.ideal), self.point))
        return hypervolume_share(reached, self.volume)

    @property
    def text(self) -> str:
        """The sentence that every number resting on this reference must be read with."""
        lows, highs = (", ".join(f"{value:.6g}" for value in ends) for ends in (self.ideal, self.nadir))
        return (
            f"{len(self.points):,} points ({self.how}); objectives scaled from ({lows}) to ({highs}), "
            f"reference point {self.point:g}, hypervolume {self.volume:.6f}"
        )


def reference_of(known: KnownFront | None, runs: Sequence[Run]) -> Reference:
    """The reference front of a case: the known one where it is exact, else the best of it and of all runs.

    Args:
        known: the front known without the runs.
        runs: all runs of the case.
    """
    fronts = [run.judged[run.front] for run in runs]
    if known is not None and known.exact:
        points, how = known.points, known.how
    else:
        parts = fronts if known is None else [known.points, *fronts]
        points = np.concatenate(parts)
        points = points[front_mask(points)]
        points = points[np.lexsort(points.T[::-1])]
        own = f"best known, from {len(runs)} runs"
        how = own if known is None else f"{own} and a {known.how}"
    ideal, nadir = _range(points, [run.judged for run in runs])
    scaled = (points - ideal) / (nadir - ideal)
    m = len(ideal)
    point = reference_coordinate(hypervolume(scaled, np.ones(m)))
    volume = hypervolume(scaled, np.full(m, point))
    exact = known is not None and known.exact
    return Reference(points=points, ideal=ideal, nadir=nadir, point=point, volume=volume, exact=exact, how=how)


def _range(points: np.ndarray, others: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Ideal and nadir; where the front has no range, the largest value that any run met stands for the nadir."""
    if not len(points):
        m = points.shape[1]
        return np.zeros(m), np.ones(m)
    ideal, nadir = points.min(axis=0), points.max(axis=0)
    met = np.concatenate([points, *others])
    nadir = np.where(nadir > ideal, nadir, np.nanmax(met, axis=0))
    return ideal, np.where(nadir > ideal, nadir, ideal + 1.0)


@final
@dataclass(frozen=True, kw_only=True)
class Quality:
    """One run's indicators.

    Attributes:
        front: networks on the run's front that nothing on it beats by the case's truth.
        hypervolume: scaled.
        share: of the reference's hypervolume.
        epsilon: additive, scaled: how far the front must be moved to cover the reference; infinite for an empty front.
        igd_plus: mean distance from reference points to what is not covered, scaled; infinite for an empty front.
        found: exact front points found; None where the reference is not exact.
        evaluations_to: evaluations until 90, 99 and 99.9 % of the reference's hypervolume; NaN where not reached.
        seconds_to: seconds until then.
        curve: (checkpoints,) share after each of `CHECKPOINTS` equal parts of the budget.
    """

    front: int
    hypervolume: float
    share: float
    epsilon: float
    igd_plus: float
    found: int | None
    evaluations_to: tuple[float, ...]
    seconds_to: tuple[float, ...]
    curve: Float[np.ndarray, " checkpoints"]


def measure(run: Run, reference: Reference, budget: int) -> Quality:
    """All indicators of a run.

    Args:
        run: with or without a result.
        reference: of its case.
        budget: evaluations that the curve's checkpoints divide.

    Source: Zitzler et al. 2003 (additive epsilon), Ishibuchi et al. 2015 (IGD+), Fonseca, Paquete and Lopez-Ibanez 2006
        (hypervolume); all through moocore.
    """
    judged = run.judged[run.front]
    judged = judged[front_mask(judged)]
    scaled, target = reference.scaled(judged), reference.scaled(reference.points)
    nothing = not len(judged) or not len(target)
    curve = np.array([share_after(run, reference, end) for end in checkpoints(budget)])
    reached = [_crossing(run, reference, goal, budget, curve) for goal in TARGETS]
    share = reference.share(judged)
    return Quality(
        front=len(judged),
        hypervolume=share * reference.volume,
        share=share,
        epsilon=float("inf") if nothing else float(moocore.epsilon_additive(scaled, ref=target)),
        igd_plus=float("inf") if nothing else float(moocore.igd_plus(scaled, ref=target)),
        found=found_points(scaled, target) if reference.exact else None,
        evaluations_to=tuple(goal[0] for goal in reached),
        seconds_to=tuple(goal[1] for goal in reached),
        curve=curve,
    )


def checkpoints(budget: int) -> tuple[int, ...]:
    """Evaluations at which a curve is drawn: equal parts of the budget, the last is the budget.

    Example:
        >>> checkpoints(100)[:3], checkpoints(100)[-1]
        ((2, 4, 6), 100)
    """
    return tuple(int(end) for end in np.ceil(np.linspace(0, budget, CHECKPOINTS + 1)[1:]))


def found_points(front: Float[np.ndarray, "n m"], target: Float[np.ndarray, "r m"]) -> int:
    """The number of target points on the front, to 1e-9 of each range (sums differ in their last digits)."""
    if not len(front):
        return 0
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(front).query(target, p=np.inf, distance_upper_bound=10 * _EQUAL)
    return int(np.count_nonzero(distance <= _EQUAL))


def _best_so_far(run: Run, count: int) -> Bool[np.ndarray, " count"]:
    """The rows among the first `count` kept ones that were the search's front at that time."""
    return nondominated(run.objectives[:count])


def _share_of(run: Run, reference: Reference, count: int) -> float:
    """The share that the first `count` kept rows reach."""
    if not count:
        return 0.0
    return reference.share(run.judged[:count][_best_so_far(run, count)])


def share_after(run: Run, reference: Reference, evaluations: int) -> float:
    """The share of the reference's hypervolume that a run has reached after some evaluations."""
    return _share_of(run, reference, int(np.searchsorted(run.rows, evaluations)))


def _crossing(run: Run, reference: Reference, goal: float, budget: int, curve: np.ndarray) -> tuple[float, float]:
    """Evaluations and seconds until the share first reaches the goal, NaN for both where it does not."""
    ends = checkpoints(budget)
    above = np.flatnonzero(curve >= goal)
    if not len(above):
        return float("nan"), float("nan")
    first = int(above[0])
    low = int(np.searchsorted(run.rows, ends[first - 1])) if first else 0
    high = int(np.searchsorted(run.rows, ends[first]))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _share_of(run, reference, middle) >= goal else (middle, high)
    return float(run.rows[high - 1] + 1), float(run.seconds[high - 1])
