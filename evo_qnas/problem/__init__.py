"""Problems: what is minimised, under which limits.

- `Problem`: the interface, ours and a user's own.
- `TableProblem`: columns of tables, functions of networks, limits, ties and pins.
- `Networks`, `objective`: what a function of a user's own gets, and how it becomes an objective.
- `LookupProblem`, `nas_bench_macro`: networks that were all measured.
- `evaluate_batches`, `Outcome`: evaluation that a search can trust.
- `from_pymoo`, `to_pymoo`: pymoo's problems as ours and ours as pymoo's.
- `ObjectiveInfo`, `ConstraintInfo`: names, units and directions.
"""

from evo_qnas.problem.custom import CustomObjective, objective
from evo_qnas.problem.foreign import from_pymoo, to_pymoo
from evo_qnas.problem.genes import space_of
from evo_qnas.problem.guarded import Outcome, evaluate_batches
from evo_qnas.problem.limits import Limit, parse_limit
from evo_qnas.problem.lookup import LookupProblem, nas_bench_macro
from evo_qnas.problem.networks import Networks
from evo_qnas.problem.problem import ConstraintInfo, ObjectiveInfo, Problem
from evo_qnas.problem.table_problem import TableProblem

__all__ = [
    "ConstraintInfo",
    "CustomObjective",
    "Limit",
    "LookupProblem",
    "Networks",
    "ObjectiveInfo",
    "Outcome",
    "Problem",
    "TableProblem",
    "evaluate_batches",
    "from_pymoo",
    "nas_bench_macro",
    "objective",
    "parse_limit",
    "space_of",
    "to_pymoo",
]
