"""The additive form of objectives and limits on tables."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from evo_qnas.problem.custom import CustomObjective
from evo_qnas.problem.quantities import Constraint, Objective
from evo_qnas.spaces import Additive, Gene, LimitSide, Space
from evo_qnas.tables import Tables


def additive_form(
    space: Space, tables: Tables, objectives: Sequence[Objective], constraints: Sequence[Constraint]
) -> Additive | None:
    """Objectives and limits as sums over genes, None where one is no sum."""
    parts, offsets = [], []
    for item in objectives:
        if isinstance(item, CustomObjective) or not item.additive:
            return None
        values, offset = item.parts(tables)
        sign = item.sign(tables)
        parts.append([sign * value for value in values])
        offsets.append(sign * offset)
    rows, bounds = [], []
    sides: list[LimitSide] = []
    for constraint in constraints:
        if isinstance(constraint, CustomObjective) or not constraint.term.additive:
            return None
        values, offset = constraint.term.parts(tables)
        for side in constraint.limit.sides:
            rows.append([side.sign * value for value in values])
            bounds.append(side.bound - side.sign * offset)
            sides.append(side)
    return Additive(
        space=space,
        objectives=tuple(_gather(gene, parts) for gene in space.genes),
        offset=np.array(offsets, dtype=np.float64),
        limits=tuple(_gather(gene, rows) for gene in space.genes),
        bounds=np.array(bounds, dtype=np.float64),
        limit_names=tuple(side.text for side in sides),
        limit_sides=tuple(sides),
    )


def _gather(gene: Gene, parts: Sequence[Sequence[np.ndarray]]) -> Float[np.ndarray, "options m"]:
    """(options, m): for each option the sum over the gene's blocks."""
    columns = []
    for values in parts:
        total = np.zeros(len(gene.options))
        for member, block in enumerate(gene.blocks):
            total = total + values[block][gene.options[:, member]]
        columns.append(total)
    return np.stack(columns, axis=1) if columns else np.empty((len(gene.options), 0))
