"""Multi-objective evolutionary search for Pareto-optimal mixed-precision networks.

The engine half (tables, problems, search, archives) is imported from here and needs no torch.
"""

from importlib.metadata import version

from evo_qnas.archive import Archive
from evo_qnas.compare import compare
from evo_qnas.pareto import certificate, exact_front, indicators
from evo_qnas.problem import ConstraintInfo, DeclaredProblem, Networks, ObjectiveInfo, Problem, TableProblem, objective
from evo_qnas.search import ALGORITHMS, optimizer, search
from evo_qnas.spaces import Space
from evo_qnas.tables import Block, Column, Finding, Tables

__version__ = version("evo_qnas")

__all__ = [
    "ALGORITHMS",
    "Archive",
    "Block",
    "Column",
    "ConstraintInfo",
    "DeclaredProblem",
    "Finding",
    "Networks",
    "ObjectiveInfo",
    "Problem",
    "Space",
    "TableProblem",
    "Tables",
    "__version__",
    "certificate",
    "compare",
    "exact_front",
    "indicators",
    "objective",
    "optimizer",
    "search",
]
