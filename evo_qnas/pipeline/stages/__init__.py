"""The stages of a run, one file each.

- `Stage`, `RunState`, `Resources`: the interface.
- `ordered_stages`, `stages_until`, `milestones`: which there are, in their order; other packages add theirs by entry
  points of the group `evo_qnas.stages`.
- `teacher`, `blocks`, `tables`, `fisher`, `in_context`, `latency`, `search`, `networks`, `rounds`, `ranking`,
  `rank_correlation`, `export`, `summary`: ours.
"""

from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.stages.registry import milestones, ordered_stages, stages_until

__all__ = ["Resources", "RunState", "Stage", "milestones", "ordered_stages", "required", "stages_until"]
