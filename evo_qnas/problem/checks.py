"""Checks of a table problem's numbers: none is missing, and rounding breaks no limit."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import ProblemError
from evo_qnas.problem.terms import Term, TermValues
from evo_qnas.spaces import ROUNDING, Space
from evo_qnas.tables import Tables


def require_finite(terms: Mapping[Term, TermValues], space: Space, tables: Tables) -> None:
    """Refuses choices without a number in what is used: sums and fronts of them would mean nothing.

    Raises:
        ProblemError: a choice that may be searched has no finite number.
    """
    for term, values in terms.items():
        values.check_size(term, tables)
        finite = values.finite
        if finite.all() and np.isfinite(values.fixed):
            continue
        for gene in space.genes:
            wrong = np.argwhere(~finite[tables.starts[gene.blocks] + gene.options])
            if len(wrong):
                option, member = wrong[0]
                block = tables.blocks[gene.blocks[member]]
                label = block.labels[gene.options[option, member]]
                raise ProblemError(
                    f"{term.text} has no finite number for block {block.name!r}, choice {label}: "
                    "forbid the choice, or drop such choices with Tables.drop_nan"
                )


def excess_of(value: Float[np.ndarray, " n"], bound: float, summed: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """`value - bound`, 0 where only the rounding of a sum is left of it: 0.1 + 0.2 - 0.3 meets a limit of 0."""
    excess: np.ndarray = value - bound
    return np.where(np.abs(excess) <= ROUNDING * (summed + abs(bound)), 0.0, excess)
