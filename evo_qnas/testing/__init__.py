"""Contracts that parts of your own must meet, as test classes to inherit from.

- `ProblemContract`, `AlgorithmContract`: for every `Problem` and search `Algorithm`.
- `TaskContract`, `DataSourceContract`, `OperatorContract`, `SchemeContract`, `RoundingContract`, `OperationContract`,
  `RuntimeContract`: for the parts that networks are made with.
- `StageContract`: for every stage of a run; `HealthCheckContract`: for every health check of one.

Those of networks and runs load torch, and are imported when they are asked for.
"""

from importlib import import_module
from typing import Any

from evo_qnas.testing.algorithms import AlgorithmContract
from evo_qnas.testing.health import HealthCheckContract
from evo_qnas.testing.problems import ProblemContract

# By name, so that the engine imports nothing of the network half.
_LATER = {
    **dict.fromkeys(
        (
            "DataSourceContract",
            "OperationContract",
            "OperatorContract",
            "RoundingContract",
            "RuntimeContract",
            "SchemeContract",
            "TaskContract",
        ),
        "evo_qnas.networks.testing",
    ),
    "StageContract": "evo_qnas.pipeline.testing",
}

__all__ = [
    "AlgorithmContract",
    "DataSourceContract",
    "HealthCheckContract",
    "OperationContract",
    "OperatorContract",
    "ProblemContract",
    "RoundingContract",
    "RuntimeContract",
    "SchemeContract",
    "StageContract",
    "TaskContract",
]


def __getattr__(name: str) -> Any:
    """A contract of the network half or of runs."""
    if name not in _LATER:
        raise AttributeError(f"module 'evo_qnas.testing' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
