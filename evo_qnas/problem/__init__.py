"""Problems: objectives under limits.

- `Problem`: the interface, ours and a user's own.
- `TableProblem`: columns of tables, functions of networks, limits, ties and pins.
- `Networks`, `objective`: the argument of a user's own function, and the decorator that makes it an objective.
- `DeclaredProblem`: names alone, for networks that are evaluated elsewhere.
- `LookupProblem`, `nas_bench_macro`: networks that were all measured.
- `evaluate_batches`, `Outcome`: evaluation that a search can trust.
- `Evaluator`: networks that are evaluated while others are, on the workers that there are.
- `from_pymoo`, `to_pymoo`: pymoo's problems as ours and ours as pymoo's.
- `ObjectiveInfo`, `ConstraintInfo`: names, units and directions.
"""

from evo_qnas.problem.custom import CustomObjective, objective
from evo_qnas.problem.declared import DeclaredProblem
from evo_qnas.problem.evaluation import evaluate_batches
from evo_qnas.problem.evaluator import Evaluator
from evo_qnas.problem.foreign import from_pymoo, to_pymoo
from evo_qnas.problem.genes import space_of
from evo_qnas.problem.info import ConstraintInfo, ObjectiveInfo
from evo_qnas.problem.lookup import LookupProblem, nas_bench_macro
from evo_qnas.problem.networks import Networks
from evo_qnas.problem.outcome import Outcome
from evo_qnas.problem.problem import Problem
from evo_qnas.problem.quantities import names_function
from evo_qnas.problem.table_problem import TableProblem

__all__ = [
    "ConstraintInfo",
    "CustomObjective",
    "DeclaredProblem",
    "Evaluator",
    "LookupProblem",
    "Networks",
    "ObjectiveInfo",
    "Outcome",
    "Problem",
    "TableProblem",
    "evaluate_batches",
    "from_pymoo",
    "names_function",
    "nas_bench_macro",
    "objective",
    "space_of",
    "to_pymoo",
]
