"""Pareto mathematics: fronts, hypervolume, exact answers on additive problems.

- `nondominated`, `front_mask`, `hypervolume`: of any points.
- `indicators`: hypervolume, epsilon and IGD+ of any points against a reference.
- `exact_front`, `ExactFront`: the true front of an additive problem, or one within a proven distance.
- `reference_coordinate`, `hypervolume_share`: the one scale of all hypervolumes.
- `certificate`, `Certificate`: how good a result is against that.
- `smallest_reachable`, `Reachable`, `require_feasible`: what limits leave.
- `weighted_sum_optima`, `weight_sweep`: supported points of the front.
"""

from evo_qnas.pareto import indicators
from evo_qnas.pareto.certificate import Certificate, certificate, share_text
from evo_qnas.pareto.exact import ExactFront, exact_front
from evo_qnas.pareto.fronts import front_mask, hypervolume, hypervolume_share, nondominated, reference_coordinate
from evo_qnas.pareto.reach import Reachable, require_feasible, smallest_reachable
from evo_qnas.pareto.sweep import weight_sweep, weighted_sum_optima

__all__ = [
    "Certificate",
    "ExactFront",
    "Reachable",
    "certificate",
    "exact_front",
    "front_mask",
    "hypervolume",
    "hypervolume_share",
    "indicators",
    "nondominated",
    "reference_coordinate",
    "require_feasible",
    "share_text",
    "smallest_reachable",
    "weight_sweep",
    "weighted_sum_optima",
]
