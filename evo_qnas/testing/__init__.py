"""Contracts that problems, schemes and operations of your own must meet, as test classes to inherit from.

- `ProblemContract`: for every `Problem`.
- `SchemeContract`: for every quantization `Scheme`.
- `OperationContract`: for every `Operation`.

Those of networks load torch, and are imported when they are asked for.
"""

from importlib import import_module
from typing import Any

from evo_qnas.testing.problems import ProblemContract

__all__ = ["OperationContract", "ProblemContract", "SchemeContract"]

# By name, so that the engine imports nothing of the network half.
_OF_NETWORKS = ("OperationContract", "SchemeContract")


def __getattr__(name: str) -> Any:
    """A contract of the network half."""
    if name not in _OF_NETWORKS:
        raise AttributeError(f"module 'evo_qnas.testing' has no attribute {name!r}")
    return getattr(import_module("evo_qnas.networks.testing"), name)
