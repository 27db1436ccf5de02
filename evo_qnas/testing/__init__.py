"""Contracts that problems of your own must meet, as test classes to inherit from.

- `ProblemContract`: for every `Problem`.
"""

from evo_qnas.testing.problems import ProblemContract

__all__ = ["ProblemContract"]
