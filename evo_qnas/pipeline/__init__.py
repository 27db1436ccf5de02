"""The whole method, stage by stage; every stage reads files and writes files in one run folder.

- `cards`: problem cards.
- `context`: what is built from a card, where files lie, what they depend on.
- `stages`: one file each; `run`: all of them, resuming what is there; `check`: a card before anything is trained.
- `latency`, `validation`: what the stages of these names are made of; `features`, `refinement`, `problems`, `jobs` too.
- `stored`: validated networks of a run folder.
"""

from evo_qnas.pipeline.cards.problem import ProblemCard, load_card
from evo_qnas.pipeline.run import run_card

__all__ = ["ProblemCard", "load_card", "run_card"]
