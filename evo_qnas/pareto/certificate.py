"""The share of the best possible hypervolume that a result reaches, by the exact front or a proven bound."""

from dataclasses import dataclass, replace
from math import comb
from typing import Literal, final

import numpy as np
import scipy
from jaxtyping import Float

from evo_qnas.errors import ProblemError
from evo_qnas.pareto.exact import ExactFront, true_front
from evo_qnas.pareto.fronts import hypervolume, hypervolume_share, reference_coordinate
from evo_qnas.pareto.lattice import lattice
from evo_qnas.pareto.polar import Fan, is_exact, volume
from evo_qnas.pareto.reach import Reachable, require_feasible, smallest_reachable
from evo_qnas.pareto.single import relaxed_minimum, smallest_sum
from evo_qnas.pareto.sweep import weight_sweep
from evo_qnas.problem import Problem
from evo_qnas.spaces import ROUNDING, Additive

# Equal steps of the sweep of weights by the number of objectives: 201, 231 and 120 planes, chosen, not measured.
_DIVISIONS = {1: 1, 2: 200, 3: 20, 4: 7}
# Qhull's time grows steeply with the dimension: beyond, volumes are estimated.
_MOST_DIMENSIONS = 4
# Weights of the sweep beyond: the most equal steps that give no more of them.
_MOST_WEIGHTS = 500
# An objective that varies by less than this share of its size does not vary.
_FLAT = 1e-12
# Moves each plane outwards by far more than the linear programs' tolerance, so that the bound stays one.
_SAFETY = 1e-9
# A body whose largest ball has a smaller radius has no volume.
_LEAST_RADIUS = 1e-7


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A hypervolume as a share of the best there is.

    Objectives are scaled so that `ideal` is 0 and `nadir` is 1 (both of the exact front, or of the networks that are
    best in one objective where the exact front is out of reach); an objective that does not vary over the front is
    scaled to the largest value any network has. The reference point is 1.0 in every objective, or 1.1 where the exact
    front has no volume below 1.0.

    Of many points of four and more objectives, and of more than four, volumes are estimated along directions.

    Attributes:
        share: 0 .. 1; the true share where `method` is `exact`, at least this much where it is `bound`; both within
            `error` where volumes are estimated.
        method: `exact` against the exact front, `bound` against a proven upper bound.
        reference: (m,) float64, reference point after scaling.
        ideal: (m,) float64, in the objectives' units, minimised.
        nadir: (m,) float64, in the objectives' units, minimised.
        best: the hypervolume of the exact front, or its bound, after scaling.
        points: number of points of the exact front, 0 where it is out of reach.
        error: half the width of the share's 95 % interval; 0 where nothing was estimated.
    """

    share: float
    method: Literal["exact", "bound"]
    reference: Float[np.ndarray, " m"]
    ideal: Float[np.ndarray, " m"]
    nadir: Float[np.ndarray, " m"]
    best: float
    points: int
    error: float = 0.0

    def __str__(self) -> str:
        against = f"exact front of {self.points:,} points" if self.method == "exact" else "a proven upper bound"
        least = "at least " if self.method == "bound" else ""
        return (
            f"{least}{share_text(self.share)}{self._interval} of the optimum (hypervolume, {against}, "
            f"objectives scaled from {_numbers(self.ideal)} to {_numbers(self.nadir)}, reference {self.reference[0]:g})"
        )

    @property
    def _interval(self) -> str:
        """The error in words, nothing where there is none."""
        return f" ± {self.error:.2g} (95 %)" if self.error else ""


def share_text(share: float) -> str:
    """A share in four digits, rounded down, so that no share below the optimum reads as all of it.

    Example:
        >>> share_text(0.99996)
        '0.9999'
    """
    return f"{np.floor(share * 1e4) / 1e4:.4f}"


def _numbers(values: Float[np.ndarray, " m"]) -> str:
    return f"({', '.join(f'{value:.4g}' for value in values)})"


def certificate(
    problem: Problem,
    objectives: Float[np.ndarray, "n m"],
    *,
    front: ExactFront | None = None,
    max_points: int = 100_000,
) -> Certificate:
    """The hypervolume share of a result on an additive problem.

    Args:
        problem: a problem with an additive form.
        objectives: (n, m) float64, minimised, of networks that meet the limits; may hold dominated points or none.
        front: the exact front where it is known already; else it is computed.
        max_points: an exact front of more points (or of more on the way) counts as out of reach: then the share is held
            against a bound, see `upper_bound`.

    Raises:
        ProblemError: the problem has no additive form.
        InfeasibleError: no network meets the limits.

    Example:
        >>> from evo_qnas.tables import Tables
        >>> from evo_qnas.problem import TableProblem
        >>> tables = Tables.from_arrays({"score": [np.array([3.0, 1.0])] * 2, "size_bytes": [np.array([1.0, 4.0])] * 2})
        >>> problem = TableProblem(tables, objectives=["score", "size_bytes"])
        >>> str(certificate(problem, np.array([[2.0, 8.0], [4.0, 5.0]]))).split(", objectives scaled ")
        ['1.0000 of the optimum (hypervolume, exact front of 3 points', 'from (2, 2) to (6, 8), reference 1)']
    """
    additive = problem.additive
    if additive is None:
        raise ProblemError("a certificate needs objectives and limits that are sums over blocks")
    known = front if front is not None and front.exact else true_front(problem, max_points=max_points)
    if known is not None:
        return _against_front(objectives, known.objectives, smallest_reachable(additive))
    return _against_bound(objectives, problem, additive)


def _against_front(
    objectives: Float[np.ndarray, "n m"], front: Float[np.ndarray, "f m"], reach: Reachable
) -> Certificate:
    """The share of the exact front's hypervolume."""
    ideal, nadir = front.min(axis=0), front.max(axis=0)
    nadir = _widened(ideal, nadir, reach)
    scaled, true = (objectives - ideal) / (nadir - ideal), (front - ideal) / (nadir - ideal)
    m = len(ideal)
    reference = np.full(m, reference_coordinate(volume(true, np.ones(m))[0]))
    if is_exact(max(len(true), len(scaled)), m):
        best, error = hypervolume(true, reference), 0.0
        share = hypervolume_share(hypervolume(scaled, reference), best)
    else:
        fan = Fan.of(m)
        whole = fan.reach(true, reference)
        best = fan.volume(whole)[0]
        share, error = fan.share(fan.reach(scaled, reference), whole)
    return Certificate(
        share=min(share, 1.0),
        method="exact",
        reference=reference,
        ideal=ideal,
        nadir=nadir,
        best=best,
        points=len(front),
        error=error,
    )


def _widened(
    ideal: Float[np.ndarray, " m"], nadir: Float[np.ndarray, " m"], reach: Reachable
) -> Float[np.ndarray, " m"]:
    """The nadir, moved to the largest value there is (or by 1) in objectives that do not vary."""
    flat = nadir - ideal <= _FLAT * np.maximum(np.abs(ideal), np.abs(nadir))
    largest = np.where(reach.high > ideal, reach.high, ideal + 1.0)
    moved: np.ndarray = np.where(flat, largest, nadir)
    return moved


def _against_bound(objectives: Float[np.ndarray, "n m"], problem: Problem, additive: Additive) -> Certificate:
    """The share of a proven upper bound of the hypervolume."""
    m = len(additive.offset)
    require_feasible(additive)
    whole = lattice(additive, slack=ROUNDING)
    corners = np.concatenate([smallest_sum(whole, objective=index) for index in range(m)])
    values = problem.evaluate(problem.space.decode(corners))[0]
    ideal = values.min(axis=0)
    nadir = _widened(ideal, values.max(axis=0), smallest_reachable(additive))
    scaled, reference = (objectives - ideal) / (nadir - ideal), np.ones(m)
    if m <= _MOST_DIMENSIONS and is_exact(len(scaled), m):
        best, error = upper_bound(additive, ideal=ideal, nadir=nadir), 0.0
        share = hypervolume(scaled, reference) / best if best > 0.0 else 1.0
    else:
        fan = Fan.of(m)
        under = fan.reach_of_planes(*_planes(additive, ideal, nadir))
        best = fan.volume(under)[0]
        share, error = fan.share(fan.reach(scaled, reference), under) if best > 0.0 else (1.0, 0.0)
    return Certificate(
        share=min(share, 1.0),
        method="bound",
        reference=reference,
        ideal=ideal,
        nadir=nadir,
        best=best,
        points=0,
        error=error,
    )


def upper_bound(additive: Additive, *, ideal: Float[np.ndarray, " m"], nadir: Float[np.ndarray, " m"]) -> float:
    """A volume that no set of networks dominates more of, objectives scaled to `ideal` .. `nadir`, reference 1.0.

    The smallest weighted sum (under limits: of the linear relaxation) puts every network, and all that it dominates, on
    one side of a plane. What lies above the planes of a sweep of weights, within the unit cube, is a convex body whose
    volume Qhull computes.

    Args:
        additive: the sums; 2 to 4 objectives.
        ideal: (m,) float64, no network is below it in any objective.
        nadir: (m,) float64.

    Source: Das and Dennis 1998 (weights); Barber, Dobkin and Huhdanpaa 1996 (Qhull), through scipy.
    """
    m = len(ideal)
    weights, least = _planes(additive, ideal, nadir)
    # Rows a, b of half-spaces a x + b <= 0: above every plane, and within the cube.
    planes = np.column_stack([-weights, least])
    cube = np.column_stack([np.vstack([np.eye(m), -np.eye(m)]), np.repeat([-1.0, 0.0], m)])
    halves = np.vstack([planes, cube])
    centre = _centre(halves)
    if centre is None:
        return 0.0
    corners = scipy.spatial.HalfspaceIntersection(halves, centre).intersections
    return float(min(scipy.spatial.ConvexHull(corners).volume, 1.0))


def _planes(
    additive: Additive, ideal: Float[np.ndarray, " m"], nadir: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, "p m"], Float[np.ndarray, " p"]]:
    """Weights of scaled objectives, and what the weighted sum of every network is not below."""
    m = len(ideal)
    divisions = _DIVISIONS.get(m) or max(d for d in range(1, 8) if d == 1 or comb(d + m - 1, d) <= _MOST_WEIGHTS)
    weights = weight_sweep(m, divisions)
    scaled = replace(
        additive,
        objectives=tuple(part / (nadir - ideal) for part in additive.objectives),
        offset=(additive.offset - ideal) / (nadir - ideal),
    )
    return weights, np.array([relaxed_minimum(scaled, row) for row in weights]) - _SAFETY


def _centre(halves: Float[np.ndarray, "h m1"]) -> Float[np.ndarray, " m"] | None:
    """The centre of the largest ball inside, None where there is next to none."""
    sides, ends = halves[:, :-1], -halves[:, -1]
    norms = np.linalg.norm(sides, axis=1)
    m = sides.shape[1]
    result = scipy.optimize.linprog(
        np.append(np.zeros(m), -1.0),
        A_ub=np.column_stack([sides, norms]),
        b_ub=ends,
        bounds=[(None, None)] * m + [(0.0, None)],
    )
    if result.x is None or result.x[-1] < _LEAST_RADIUS:
        return None
    centre: np.ndarray = result.x[:-1]
    return centre
