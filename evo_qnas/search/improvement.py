"""Expected hypervolume improvement over draws, and batches chosen by it."""

from dataclasses import dataclass
from typing import final

import moocore
import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import nondominated

# Bounds that are looked at again at once; more at a time cost less each. Chosen, not measured.
_AGAIN = 24


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Objectives measured along a front: its points are 0, 1, 2, ... in each objective, in between straight lines.

    An improvement between two neighbours of the front then counts alike wherever on the front they are. The order of
    values stays, so that fronts stay fronts.

    Attributes:
        knots: per objective the front's distinct values, rising.
    """

    knots: tuple[Float[np.ndarray, " _"], ...]

    @classmethod
    def along(cls, front: Float[np.ndarray, "f m"]) -> "Places":
        """The places of a front of at least one point."""
        return cls(knots=tuple(np.unique(column) for column in front.T))

    def __call__(self, values: Float[np.ndarray, "*some m"]) -> Float[np.ndarray, "*some m"]:
        """Places of values; beyond the front's ends at most one more, at the mean slope."""
        places = np.empty(values.shape)
        for column, knots in enumerate(self.knots):
            value = values[..., column]
            step = (knots[-1] - knots[0]) / (len(knots) - 1) if len(knots) > 1 else max(abs(knots[0]), 1.0)
            inside = np.interp(value, knots, np.arange(float(len(knots))))
            below = np.minimum(np.maximum(knots[0] - value, 0.0) / step, 1.0)
            above = np.minimum(np.maximum(value - knots[-1], 0.0) / step, 1.0)
            places[..., column] = inside - below + above
        return places

    @property
    def reference(self) -> Float[np.ndarray, " m"]:
        """One place beyond the front's worst in every objective."""
        return np.array([float(len(knots)) for knots in self.knots])


@final
class Staircase:
    """A front, and how much hypervolume a further point adds to it."""

    def __init__(self, front: Float[np.ndarray, "f m"], reference: Float[np.ndarray, " m"]) -> None:
        self.front = front[nondominated(front)]
        self.reference = reference
        if self.front.shape[1] == 2:
            self._prepare()

    def _prepare(self) -> None:
        """The height left free under the reference to the right of each point, and its area up to there."""
        order = np.argsort(self.front[:, 0], kind="stable")
        self._x = np.append(self.front[order, 0], self.reference[0])
        self._y = self.front[order, 1]
        self._heights = np.concatenate([[self.reference[1]], self._y])
        self._areas = np.concatenate([[0.0], np.cumsum(np.diff(self._x) * self._y)])

    def gains(self, points: Float[np.ndarray, "c m"]) -> Float[np.ndarray, " c"]:
        """(c,) hypervolume that each point adds by itself.

        Source: for two objectives the closed form of Emmerich et al. 2011, by prefix sums; for more, the box of a point
        without what the front has of it, through moocore.
        """
        if self.front.shape[1] == 1:
            best = float(np.min(self.front, initial=self.reference[0]))
            return np.fmax(best - points[:, 0], 0.0)
        if self.front.shape[1] == 2:
            return self._area(points)
        boxes = np.prod(np.maximum(self.reference - points, 0.0), axis=1)
        covered = [self._covered(point) if box > 0 else 0.0 for point, box in zip(points, boxes, strict=True)]
        gains: np.ndarray = np.maximum(boxes - np.array(covered), 0.0)
        return gains

    def _covered(self, point: np.ndarray) -> float:
        """The volume of a point's box that the front covers."""
        clipped = np.maximum(self.front, point)
        clipped = clipped[(clipped < self.reference).all(axis=1)]
        return float(moocore.hypervolume(clipped, ref=self.reference)) if len(clipped) else 0.0

    def _area(self, points: np.ndarray) -> np.ndarray:
        """Of two objectives: the area under the staircase from each point to where the staircase falls below it."""
        x, y = np.minimum(points, self.reference).T
        # The first point of the front that is not above y ends the area; heights fall along the front.
        end = np.searchsorted(-self._y, -y, side="left")
        stop = np.maximum(self._x[end], x)
        gains: np.ndarray = np.maximum(self._under(stop) - self._under(x) - y * (stop - x), 0.0)
        return gains

    def _under(self, x: np.ndarray) -> np.ndarray:
        """Area of free height from the first point of the front to x, negative to its left."""
        at = np.searchsorted(self._x[:-1], x, side="right")
        area: np.ndarray = self._areas[np.maximum(at - 1, 0)] + self._heights[at] * (x - self._x[np.maximum(at - 1, 0)])
        return area

    def with_point(self, point: Float[np.ndarray, " m"]) -> "Staircase":
        """The front with one point more."""
        return Staircase(np.concatenate([self.front, point[None]]), self.reference)


def expected_gains(
    front: Float[np.ndarray, "f m"], draws: Float[np.ndarray, "t c m"], chance: Float[np.ndarray, " c"]
) -> Float[np.ndarray, " c"]:
    """(c,) hypervolume that each candidate is expected to add to a front by itself, in places along it.

    Args:
        front: values of the front; may be empty.
        draws: of the candidates' objectives.
        chance: of meeting the limits, 0..1.
    """
    stairs, placed = _placed(front, draws)
    gains: np.ndarray = stairs.gains(placed.reshape(-1, placed.shape[2])).reshape(placed.shape[:2]).mean(axis=0)
    expected: np.ndarray = gains * chance
    return expected


def promising(
    front: Float[np.ndarray, "f m"], draws: Float[np.ndarray, "t c m"], chance: Float[np.ndarray, " c"]
) -> Float[np.ndarray, " c"]:
    """(c,) `expected_gains` of one and two objectives; of more how far candidates are expected to be beyond the front.

    The latter, in places along the front, is what every point of it would have to give up in its best objective to let
    a candidate in: quick to tell of many candidates, where a hypervolume for each would take minutes.
    """
    if draws.shape[2] <= 2:
        return expected_gains(front, draws, chance)
    stairs, placed = _placed(front, draws)
    total = np.zeros(draws.shape[1])
    for points in placed:
        beyond = np.full(len(points), np.inf)
        for point in stairs.front if len(stairs.front) else stairs.reference[None]:
            np.minimum(beyond, (point - points).max(axis=1), out=beyond)
        total += np.maximum(beyond, 0.0)
    expected: np.ndarray = total / len(draws) * chance
    return expected


def best_batch(
    front: Float[np.ndarray, "f m"],
    draws: Float[np.ndarray, "t c m"],
    chance: Float[np.ndarray, " c"],
    size: int,
) -> Int[np.ndarray, " size"]:
    """Up to `size` candidates that together are expected to add the most hypervolume, in places along the front.

    One after another: in each draw the front takes the ones chosen before, so that networks that err together or
    improve the same place are not chosen twice. Candidates that add nothing in any draw are left out.

    Args:
        front: values of the front; may be empty.
        draws: of the candidates' objectives, jointly per draw.
        chance: of meeting the limits, 0..1.
        size: of the batch.

    Source: Emmerich et al. 2006 (expected hypervolume improvement); Daulton et al. 2021 (its greedy batches over joint
    draws); Minoux 1978 (what a candidate adds only falls, so that few need to be looked at again).
    """
    stairs, placed = _placed(front, draws)
    each = [stairs] * len(placed)
    bounds = expected_gains(front, draws, chance)
    chosen: list[int] = []
    stale = np.zeros(len(bounds), dtype=bool)
    while len(chosen) < size and len(bounds):
        best = int(bounds.argmax())
        if bounds[best] <= 0:
            break
        if stale[best]:
            again = np.flatnonzero(stale)
            again = again[np.argsort(-bounds[again], kind="stable")[:_AGAIN]]
            gains = [one.gains(points[again]) for one, points in zip(each, placed, strict=True)]
            bounds[again] = np.mean(gains, axis=0) * chance[again]
            stale[again] = False
            continue
        chosen.append(best)
        each = [one.with_point(points[best]) for one, points in zip(each, placed, strict=True)]
        bounds[best] = -1.0
        stale[:] = bounds > 0
    return np.array(chosen, dtype=np.int64)


def _placed(front: Float[np.ndarray, "f m"], draws: Float[np.ndarray, "t c m"]) -> tuple[Staircase, np.ndarray]:
    """Front and draws in places along the front; without a front along the draws' own."""
    flat = draws.reshape(-1, draws.shape[2])
    along = front if len(front) else flat[nondominated(flat)]
    places = Places.along(along)
    return Staircase(places(front), places.reference), places(draws)
