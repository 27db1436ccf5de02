"""Multi-objective evolutionary search for Pareto-optimal mixed-precision networks.

The engine half (tables, problems, search, archives) is imported from here and needs no torch. The network half
(`Study`, `compress`, `quantize`, `check`, `blocks`, `load_network`, `operator`, `metrics`) is loaded when one of its
names is first used, and torch with it; `__init__.pyi` tells type checkers what they are.
"""

from importlib import import_module
from typing import Any

from evo_qnas.archive import Archive
from evo_qnas.compare import compare
from evo_qnas.pareto import certificate, exact_front
from evo_qnas.problem import ConstraintInfo, Networks, ObjectiveInfo, Problem, TableProblem, objective
from evo_qnas.search import ALGORITHMS, search
from evo_qnas.spaces import Space
from evo_qnas.tables import Block, Column, Finding, Tables

_LATER = {
    "ChosenNetwork": "evo_qnas.study",
    "check": "evo_qnas.networks.checking",
    "Study": "evo_qnas.study",
    "compress": "evo_qnas.study",
    "load_network": "evo_qnas.study",
    "operator": "evo_qnas.study",
    "quantize": "evo_qnas.study",
}


def __getattr__(name: str) -> Any:
    """A name of the network half, loaded now."""
    if name == "metrics":
        return import_module("evo_qnas.metrics")
    if name == "blocks":
        return import_module("evo_qnas.networks.candidates.listing").possible_blocks
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'evo_qnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, those of the network half too."""
    return sorted({*globals(), *__all__})


__all__ = [
    "ALGORITHMS",
    "Archive",
    "Block",
    "ChosenNetwork",
    "Column",
    "ConstraintInfo",
    "Finding",
    "Networks",
    "ObjectiveInfo",
    "Problem",
    "Space",
    "Study",
    "TableProblem",
    "Tables",
    "blocks",
    "certificate",
    "check",
    "compare",
    "compress",
    "exact_front",
    "load_network",
    "metrics",
    "objective",
    "operator",
    "quantize",
    "search",
]
