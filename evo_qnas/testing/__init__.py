"""Contracts that problems and algorithms of your own must meet, as test classes to inherit from.

- `ProblemContract`: for every `Problem`.
- `AlgorithmContract`: for every `Algorithm`.
"""

from evo_qnas.testing.algorithms import AlgorithmContract
from evo_qnas.testing.problems import ProblemContract

__all__ = ["AlgorithmContract", "ProblemContract"]
