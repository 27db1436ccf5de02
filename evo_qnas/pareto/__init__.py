"""Pareto mathematics: fronts, hypervolume, exact answers on additive problems.

- `nondominated`, `hypervolume`: of any points.
- `exact_front`: the true front of an additive problem.
- `weighted_sum_optima`, `weight_sweep`: supported points of it.
"""

from evo_qnas.pareto.exact import ExactFront, exact_front
from evo_qnas.pareto.fronts import hypervolume, nondominated
from evo_qnas.pareto.sweep import weight_sweep, weighted_sum_optima

__all__ = ["ExactFront", "exact_front", "hypervolume", "nondominated", "weight_sweep", "weighted_sum_optima"]
