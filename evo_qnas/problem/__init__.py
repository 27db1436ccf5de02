"""Problems: what is minimised, under which limits.

- `Problem`: the interface.
- `ObjectiveInfo`, `ConstraintInfo`: names, units and directions.
"""

from evo_qnas.problem.problem import ConstraintInfo, ObjectiveInfo, Problem

__all__ = ["ConstraintInfo", "ObjectiveInfo", "Problem"]
