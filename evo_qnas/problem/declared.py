"""Problems of names alone, whose networks are evaluated elsewhere."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import EvaluationError, ProblemError
from evo_qnas.problem.info import ConstraintInfo, ObjectiveInfo
from evo_qnas.problem.problem import Problem
from evo_qnas.spaces import Additive, Space
from evo_qnas.tables import unit_of


@final
class DeclaredProblem(Problem):
    """The choices of each block, and names of objectives and limits, without a way to evaluate: for ask and tell.

    Example:
        >>> problem = DeclaredProblem({"stem": 3, "head": 2}, ["error", "accuracy"], maximize=["accuracy"])
        >>> problem.space.size, problem.objectives[1].maximize
        (6, True)
    """

    slow = True
    fully_fingerprinted = True

    def __init__(
        self,
        choices: Space | Sequence[int] | Mapping[str, int],
        objectives: Sequence[str | ObjectiveInfo],
        constraints: Sequence[str | ConstraintInfo] = (),
        *,
        maximize: Sequence[str] = (),
    ) -> None:
        """Takes the names.

        Args:
            choices: a space, or the number of choices of each block, by name or in order.
            objectives: names; their units are taken from them.
            constraints: names of limits, whose excesses are told.
            maximize: the objectives of which more is better.

        Raises:
            ProblemError: there is no objective, a name is there twice, or `maximize` names none of them.
        """
        if isinstance(choices, Space):
            self._space = choices
        else:
            blocks = list(choices) if isinstance(choices, Mapping) else None
            self._space = Space.from_counts([int(c) for c in _counts(choices)], blocks)
        self._objectives = tuple(
            item
            if isinstance(item, ObjectiveInfo)
            else ObjectiveInfo(name=item, unit=unit_of(item) or "1", maximize=item in maximize)
            for item in objectives
        )
        self._constraints = tuple(
            item if isinstance(item, ConstraintInfo) else ConstraintInfo(name=item) for item in constraints
        )
        names = [info.name for info in self._objectives] + [info.name for info in self._constraints]
        if not self._objectives or len(set(names)) < len(names):
            raise ProblemError(f"a problem needs an objective, and each name once, got {names}")
        unknown = sorted({*maximize} - {info.name for info in self._objectives})
        if unknown:
            raise ProblemError(f"maximize names {unknown[0]!r}, which is no objective; there are: {', '.join(names)}")

    @property
    def space(self) -> Space:
        """All genomes."""
        return self._space

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """The declared objectives."""
        return self._objectives

    @property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """The declared limits."""
        return self._constraints

    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Always raises: the values come from outside.

        Raises:
            EvaluationError: always.
        """
        raise EvaluationError("a declared problem has no values: evaluate its networks elsewhere, and tell the results")

    @property
    def additive(self) -> Additive | None:
        """None: nothing is known about the values."""
        return None

    @property
    def fingerprint(self) -> str:
        """Digest of choices and names."""
        return hashlib.sha256(repr(self.describe()).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """Choices and names."""
        return {
            "kind": "declared",
            "choices": self._space.choices.tolist(),
            "blocks": list(self._space.blocks),
            "genes": [[gene.blocks.tolist(), gene.options.tolist()] for gene in self._space.genes],
            "objectives": [[info.name, info.unit, info.maximize] for info in self._objectives],
            "constraints": [[info.name, info.unit] for info in self._constraints],
        }


def _counts(choices: Sequence[int] | Mapping[str, int]) -> list[int]:
    """The numbers of choices.

    Raises:
        ProblemError: one is no whole number.
    """
    counts = list(choices.values()) if isinstance(choices, Mapping) else list(choices)
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int | np.integer):
            raise ProblemError(f"the number of choices of a block must be a whole number, got {count!r}")
    return counts
