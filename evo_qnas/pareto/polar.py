"""Hypervolumes of any number of objectives: exact where that is quick, else estimated, with an error."""

from dataclasses import dataclass
from functools import cache
from math import factorial
from typing import final

import numpy as np
from jaxtyping import Float

from evo_qnas.pareto.fronts import hypervolume, undominated

# Most points whose hypervolume is computed exactly: about half a second on one core (moocore 0.3). Beyond, and in more
# objectives, it is estimated; in up to three objectives it never is.
_MOST_EXACT = {4: 4000, 5: 200, 6: 60}
# Independent groups of directions, from whose spread the error is told, and directions of each.
_GROUPS = 16
_EACH = 256
# 97.5 % quantile of Student's t with 15 degrees of freedom.
_T = 2.1314
# Points that are gone through at once: their numbers along all directions fit the processor's cache.
_AT_ONCE = 16
# Of so many points in a row the dominated ones are left out first.
_SCREENED = 1000


def is_exact(points: int, m: int) -> bool:
    """True where the hypervolume of so many points is computed exactly.

    Example:
        >>> is_exact(10**6, 3), is_exact(10**6, 4), is_exact(100, 5)
        (True, False, True)
    """
    return m <= 3 or points <= _MOST_EXACT.get(m, 0)


def volume(points: Float[np.ndarray, "n m"], reference: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """The hypervolume below the reference point, and half the width of its 95 % interval: 0 where it is exact.

    Example:
        >>> volume(np.array([[0.0, 0.5], [0.5, 0.0]]), np.array([1.0, 1.0]))
        (0.75, 0.0)
    """
    if is_exact(len(points), points.shape[1]):
        return hypervolume(points, reference), 0.0
    fan = Fan.of(points.shape[1])
    return fan.volume(fan.reach(points, reference))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fan:
    """Directions from a reference point towards smaller objectives, and how far a region reaches along each.

    A region that holds with each point the way to the reference point has the volume `E[r(w)^m] / m!`, where `r(w)` is
    how far it reaches along `-w`, and the weights `w` are uniform on the simplex. They are low-discrepancy points, in
    groups that are shifted at random independently of each other: the spread between the groups' means gives the error.

    Source: Deng and Zhang 2019 (hypervolume in polar coordinates); Roberts 2018 (the sequence); Cranley and Patterson
    1976 (random shifts). What differs: directions are uniform on the simplex, not on the sphere, and the error is told.

    Attributes:
        weights: (groups * each, m) float64, rows that sum to 1.
    """

    weights: Float[np.ndarray, "d m"]

    @classmethod
    def of(cls, m: int) -> "Fan":
        """The directions for `m` objectives, always the same ones."""
        return _fan(m)

    def reach(
        self,
        points: Float[np.ndarray, "n m"],
        reference: Float[np.ndarray, " m"],
        so_far: Float[np.ndarray, " d"] | None = None,
    ) -> Float[np.ndarray, " d"]:
        """How far the region that the points dominate reaches along each direction; 0 where it does not.

        Args:
            points: minimised; those beyond the reference point add nothing.
            reference: the reference point.
            so_far: what earlier points reach, None for none.
        """
        reached = np.zeros(len(self.weights), dtype=np.float32)
        inverse = np.ascontiguousarray((1.0 / self.weights).T.astype(np.float32))
        room = reference - points[(points < reference).all(axis=1)]
        for first in range(0, len(room), _SCREENED):
            part = room[first : first + _SCREENED]
            part = part[undominated(-part)].astype(np.float32)
            for start in range(0, len(part), _AT_ONCE):
                some = part[start : start + _AT_ONCE, :, None]
                far = some[:, 0] * inverse[0]
                for column in range(1, some.shape[1]):
                    np.minimum(far, some[:, column] * inverse[column], out=far)
                np.maximum(reached, far.max(axis=0), out=reached)
        wide = reached.astype(np.float64)
        return wide if so_far is None else np.maximum(wide, so_far)

    def reach_of_planes(
        self, normals: Float[np.ndarray, "p m"], least: Float[np.ndarray, " p"]
    ) -> Float[np.ndarray, " d"]:
        """The same of what lies in the unit cube, `normals @ x >= least` in each row; the reference point is 1.0."""
        room = normals.sum(axis=1) - least
        with np.errstate(divide="ignore"):
            far = np.where(self.weights @ normals.T > 0, room / (self.weights @ normals.T), np.inf).min(axis=1)
        reached: np.ndarray = np.clip(far, 0.0, 1.0 / self.weights.max(axis=1))
        return reached

    def volume(self, reached: Float[np.ndarray, " d"]) -> tuple[float, float]:
        """The region's volume, and half the width of its 95 % interval."""
        return _mean(self._groups(reached) / factorial(self.weights.shape[1]))

    def share(self, reached: Float[np.ndarray, " d"], whole: Float[np.ndarray, " d"]) -> tuple[float, float]:
        """The volume of a region as a share of another one's, and half the width of its 95 % interval."""
        return _mean(self._groups(reached) / self._groups(whole))

    def _groups(self, reached: Float[np.ndarray, " d"]) -> Float[np.ndarray, " groups"]:
        """The mean of each group."""
        means: np.ndarray = (reached ** self.weights.shape[1]).reshape(_GROUPS, -1).mean(axis=1)
        return means


def _mean(values: Float[np.ndarray, " groups"]) -> tuple[float, float]:
    """A mean, and half the width of its 95 % interval."""
    return float(values.mean()), float(_T * values.std(ddof=1) / len(values) ** 0.5)


@cache
def _fan(m: int) -> Fan:
    """The directions for `m` objectives."""
    # The root of x^(m+1) = x + 1, whose powers step through the cube most evenly.
    root = 2.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (m + 1))
    steps = root ** -np.arange(1.0, m + 1.0)
    shifts = np.random.default_rng(m).random((_GROUPS, 1, m))
    even = (shifts + np.arange(1.0, _EACH + 1.0)[:, None] * steps) % 1.0
    # Exponential numbers over their sum are uniform on the simplex; none is 0, which nothing could be divided by.
    numbers = -np.log(np.clip(even.reshape(-1, m), 1e-9, 1.0 - 1e-9))
    return Fan(weights=numbers / numbers.sum(axis=1, keepdims=True))
