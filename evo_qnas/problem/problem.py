"""The interface of a search problem, ours and a user's own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.frames import html_table
from evo_qnas.problem.info import ConstraintInfo, ObjectiveInfo
from evo_qnas.problem.outcome import Outcome, Returns
from evo_qnas.spaces import Additive, Space
from evo_qnas.tables import Tables


class Problem(ABC):
    """The objectives and constraints of genomes, as a search needs them.

    Contract (tested by `evo_qnas.testing.ProblemContract`): `evaluate` is a function of the genomes alone, row by row;
    it leaves its argument unchanged; shapes are those below. NaN marks a network that could not be evaluated.

    The abstract members are enough. The others are what a search can make use of where a problem has it, with defaults
    for problems that have nothing of the kind.

    Attributes:
        tables: the tables behind the problem: archives embed them, seeds come from their baselines, predictors use
            their columns; None without.
        slow: True where one evaluation takes so long that none is made just to look at the problem.
        noisy: True where equal genomes may get unequal values.
        fully_fingerprinted: True where the fingerprint covers every value, so that a search that is resumed need not
            evaluate some networks again to see whether the problem is still the same.
    """

    tables: Tables | None = None
    slow: bool = False
    noisy: bool = False
    fully_fingerprinted: bool = False

    @property
    @abstractmethod
    def space(self) -> Space:
        """The genomes that a search may try."""

    @property
    @abstractmethod
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """The m objectives."""

    @property
    @abstractmethod
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """The k constraints, in the order of the columns that `evaluate` gives and of the limits of `additive`."""

    @abstractmethod
    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives, all to be minimised (a maximised one is negated), and constraint excesses (met where <= 0)."""

    @property
    @abstractmethod
    def additive(self) -> Additive | None:
        """The problem as sums over genes, or None where an objective or limit is no such sum.

        Its limits follow the order of `constraints`, one each: exact fronts hold one against the other by column.
        """

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hex digest that changes when any value that `evaluate` uses changes; archives are held against it."""

    @property
    def additive_part(self) -> Additive | None:
        """The objectives and limits that are sums, which seeds are drawn from; by default `additive`."""
        return self.additive

    @property
    def additive_limits(self) -> Additive | None:
        """The limits that are sums, which can be shown to be out of reach before a search; by default `additive`."""
        return self.additive

    def known(self, genomes: Int[np.ndarray, "n blocks"]) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives and constraint excesses as far as they are known without an evaluation, NaN elsewhere.

        By default all of them where the problem is additive, else none.
        """
        additive = self.additive
        if additive is not None:
            return additive.sums(self.space.encode(genomes))
        n = len(genomes)
        return np.full((n, len(self.objectives)), np.nan), np.full((n, len(self.constraints)), np.nan)

    def evaluate_iter(self, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1) -> Iterator[Outcome]:
        """Outcomes of at least one network as they end, in any order; every row is in one of them.

        By default one outcome of `evaluate`. A problem that raises on the batch is tried again row by row; the rows
        that raise are failed evaluations with their reason, as are rows with a value that is not finite.

        Args:
            genomes: the networks; stays unchanged.
            jobs: processes that the problem may use.

        Raises:
            EvaluationError: the problem gives another shape or no numbers.
        """
        yield self.returns.outcome(self.evaluate, genomes)

    def evaluate_again(self, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1) -> Iterator[Outcome]:
        """Outcomes as `evaluate_iter` yields them, of genomes whose earlier results must not be used."""
        return self.evaluate_iter(genomes, jobs=jobs)

    def processes(self, jobs: int) -> int:
        """The number of processes of which each evaluates one network, where `jobs` were asked for; by default those.

        Args:
            jobs: -1 for one per core.
        """
        return jobs

    @property
    def evaluation_task(self) -> Callable[[Int[np.ndarray, "1 blocks"]], Any]:
        """What another process needs to evaluate one network, and `outcome_of` takes its result; by default all."""
        return _Whole(problem=self)

    def outcome_of(self, genome: Int[np.ndarray, "1 blocks"], made: Any) -> Outcome:
        """The outcome of one network from what `evaluation_task` gave for it."""
        outcome: Outcome = made
        return outcome

    @property
    def returns(self) -> Returns:
        """The values that `evaluate` must return, and their checks, for a problem's own `evaluate_iter`."""
        return Returns(
            who=type(self).__name__,
            objectives=tuple(info.name for info in self.objectives),
            constraints=tuple(info.name for info in self.constraints),
        )

    def describe(self) -> dict[str, Any]:
        """JSON-able values from which `TableProblem.from_description` makes the problem again; empty by default."""
        return {}

    def __repr__(self) -> str:
        """One line: objectives, limits, and how many networks there are."""
        infos = ", ".join(f"{info.name}{' (max)' if info.maximize else ''}" for info in self.objectives)
        limits = "".join(f"; {info.name}" for info in self.constraints)
        size = self.space.size
        count = f"{size:,}" if size < 10**9 else f"10^{len(str(size)) - 1}"
        return f"{type(self).__name__}({infos}{limits}; {len(self.space.blocks)} blocks, {count} networks)"

    def _repr_html_(self) -> str:
        rows = [[info.name, info.unit, "maximise" if info.maximize else "minimise"] for info in self.objectives]
        rows += [[info.name, info.unit, "limit"] for info in self.constraints]
        return html_table(["name", "unit", ""], rows, repr(self))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """A problem as it is sent to a worker."""

    problem: Problem

    def __call__(self, genome: Int[np.ndarray, "1 blocks"]) -> Outcome:
        (outcome,) = self.problem.evaluate_iter(genome)
        return outcome
