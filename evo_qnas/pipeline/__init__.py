"""The whole method, stage by stage; every stage reads files and writes files in one run folder.

- `card`: problem cards.
- `workplace`: what is built from a card, and where files lie.
- `stages`, `searching`, `validation`, `onnx_stage`, `ending`: the stages.
- `run`: all stages, resuming what is there.
"""

from evo_qnas.pipeline.cards.problem import ProblemCard, load_card
from evo_qnas.pipeline.run import STAGES, run_card

__all__ = ["STAGES", "ProblemCard", "load_card", "run_card"]
