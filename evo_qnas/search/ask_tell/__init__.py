"""Searches whose evaluations are made elsewhere, and algorithms of users' own, both by ask and tell.

- `optimizer`: any algorithm as an object with `ask(n)` and `tell(genomes, objectives, constraints)`;
  `AskTellOptimizer`.
- `AskTell`: the same two methods as the interface of an algorithm of one's own; `OwnAlgorithm` makes an `Algorithm` of
  it.
- `Course`: which networks are handed out after which answers.
"""

from evo_qnas.search.ask_tell.ask_tell_optimizer import AskTellOptimizer, optimizer
from evo_qnas.search.ask_tell.course import Course

__all__ = ["AskTellOptimizer", "Course", "optimizer"]
