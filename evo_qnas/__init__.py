"""Multi-objective evolutionary search for Pareto-optimal mixed-precision networks.

Every name is loaded when it is first used: the engine half (tables, problems, search, archives) without torch, the
network half (`Study`, `compress`, `quantize`, `check`, `blocks`, `load_network`, `operator`, `metrics`) with it.
`__init__.pyi` tells type checkers what they are.
"""

import sys
from importlib import import_module, metadata
from types import ModuleType
from typing import Any, final

_LATER = {
    "ALGORITHMS": "evo_qnas.search",
    "Archive": "evo_qnas.archive",
    "Block": "evo_qnas.tables",
    "ChosenNetwork": "evo_qnas.study",
    "Column": "evo_qnas.tables",
    "ConstraintInfo": "evo_qnas.problem",
    "DeclaredProblem": "evo_qnas.problem",
    "Finding": "evo_qnas.tables",
    "Networks": "evo_qnas.problem",
    "ObjectiveInfo": "evo_qnas.problem",
    "Problem": "evo_qnas.problem",
    "Space": "evo_qnas.spaces",
    "Study": "evo_qnas.study",
    "TableProblem": "evo_qnas.problem",
    "Tables": "evo_qnas.tables",
    "certificate": "evo_qnas.pareto",
    "check": "evo_qnas.networks.checking",
    "compare": "evo_qnas.compare",
    "compress": "evo_qnas.study",
    "exact_front": "evo_qnas.pareto",
    "indicators": "evo_qnas.pareto",
    "load_network": "evo_qnas.study",
    "objective": "evo_qnas.problem",
    "operator": "evo_qnas.study",
    "optimizer": "evo_qnas.search",
    "quantize": "evo_qnas.study",
    "search": "evo_qnas.search",
}


def __getattr__(name: str) -> Any:
    """A name, loaded now."""
    if name == "__version__":
        return metadata.version("evo_qnas")
    if name == "metrics":
        return import_module("evo_qnas.metrics")
    if name == "blocks":
        return import_module("evo_qnas.networks.candidates.listing").possible_blocks
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'evo_qnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, those that are not loaded too."""
    return sorted({*globals(), *__all__})


@final
class _Package(ModuleType):
    """This package, in which `search` and `compare` are the functions, and never the folders of these names."""

    def __setattr__(self, name: str, value: Any) -> None:
        # What an import does with a submodule.
        if not (name in _LATER and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

__all__ = [
    "ALGORITHMS",
    "Archive",
    "Block",
    "ChosenNetwork",
    "Column",
    "ConstraintInfo",
    "DeclaredProblem",
    "Finding",
    "Networks",
    "ObjectiveInfo",
    "Problem",
    "Space",
    "Study",
    "TableProblem",
    "Tables",
    "__version__",
    "blocks",
    "certificate",
    "check",
    "compare",
    "compress",
    "exact_front",
    "indicators",
    "load_network",
    "metrics",
    "objective",
    "operator",
    "optimizer",
    "quantize",
    "search",
]
