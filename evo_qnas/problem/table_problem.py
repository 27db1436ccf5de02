"""The search problem of tables: objectives and limits over columns and functions of a user's own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.problem.additive_form import additive_form
from evo_qnas.problem.checks import excess_of, require_finite
from evo_qnas.problem.custom import CustomObjective
from evo_qnas.problem.description import description_of, fingerprint_of, imported_functions
from evo_qnas.problem.foreign import to_pymoo
from evo_qnas.problem.genes import Pins, plain_rules, space_of
from evo_qnas.problem.info import ConstraintInfo, ObjectiveInfo
from evo_qnas.problem.networks import Networks
from evo_qnas.problem.outcome import OK, Outcome
from evo_qnas.problem.problem import Problem
from evo_qnas.problem.quantities import Constraint, Custom, Objective, TermLimit, parse_constraint, parse_objective
from evo_qnas.problem.slow import SlowResult
from evo_qnas.problem.slow_results import SlowResults
from evo_qnas.problem.terms import ROWS, Term, TermValues
from evo_qnas.progress import progress_bar
from evo_qnas.spaces import Additive, Space
from evo_qnas.tables import Tables


@final
class TableProblem(Problem):
    """Minimise objectives over the networks of tables, under limits.

    Example:
        >>> tables = Tables.from_arrays({"score": [np.array([1.0, 0.5])] * 2, "size_bytes": [np.array([4.0, 8.0])] * 2})
        >>> problem = TableProblem(tables, objectives=["score", "size_bytes"], constraints=["size_bytes <= 12"])
        >>> problem.evaluate(np.array([[0, 1]]))
        (array([[ 1.5, 12. ]]), array([[0.]]))
    """

    def __init__(
        self,
        tables: Tables,
        objectives: Sequence[str | Custom] = ("score", "size_bytes"),
        constraints: Sequence[str | Custom] = (),
        *,
        ties: Sequence[Sequence[str]] = (),
        pins: Pins | None = None,
        forbidden: Pins | None = None,
    ) -> None:
        """Builds the problem; everything is checked here, before any search.

        Args:
            tables: choices, scores and costs.
            objectives: a column (its sum, or its largest where the column says so; its direction decides whether more
                is better), `mean:column`, `max:column`, `worst:column` (the largest over devices, columns
                `column@device`), `module:function`, or a function of `Networks` (see `objective`).
            constraints: `column <= number`, `>=`, `number <= column <= number`, with the same terms and
                `distinct(operator)`, or a function of `Networks` that is met where its result is at most 0, or True.
            ties: groups of block names that share one choice, beside those of the tables.
            pins: per block the values that `operator`, `weight_bits` or `activation_bits` must have.
            forbidden: per block the values that exclude a choice.

        Raises:
            ProblemError: a column, block or function is unknown, a limit cannot be read, or a block has no choice left.
        """
        if not objectives:
            raise ProblemError("objectives is empty: name at least one, for example 'score'")
        self.tables: Tables = tables
        self._objectives = tuple(parse_objective(item, tables) for item in objectives)
        self._constraints = tuple(parse_constraint(item, tables) for item in constraints)
        self._ties, self._pins, self._forbidden = tuple(map(tuple, ties)), plain_rules(pins), plain_rules(forbidden)
        self._space = space_of(tables, ties=ties, pins=pins, forbidden=forbidden)
        used = [*self._objectives, *(item.term for item in self._constraints if isinstance(item, TermLimit))]
        self._terms = {term: TermValues.of(term, tables) for term in used if isinstance(term, Term)}
        require_finite(self._terms, self._space, tables)
        self._slow = SlowResults(self.slow_functions, tables)
        self.slow = bool(self.slow_functions)
        self.fully_fingerprinted = self.of_columns
        self.noisy = any(isinstance(item, CustomObjective) and item.noisy for item in self._items)
        names = [info.name for info in self.objectives]
        for name in names:
            if names.count(name) > 1:
                raise ProblemError(f"objective {name!r} is there {names.count(name)} times: name each once")

    @property
    def space(self) -> Space:
        """The genomes that ties, pins and forbidden choices leave."""
        return self._space

    @cached_property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """Names, units and directions."""
        return tuple(
            ObjectiveInfo(name=item.name, unit=item.unit, maximize=item.maximize)
            if isinstance(item, CustomObjective)
            else ObjectiveInfo(name=item.text, unit=item.unit(self.tables), maximize=item.sign(self.tables) < 0)
            for item in self._objectives
        )

    @cached_property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """One entry for each finite end of each limit, in the order of the limits; of a range the upper end first."""
        infos = []
        for item in self._constraints:
            if isinstance(item, TermLimit):
                unit = item.term.unit(self.tables)
                infos += [ConstraintInfo(name=side.text, unit=unit) for side in item.limit.sides]
            else:
                infos.append(ConstraintInfo(name=item.name, unit=item.unit))
        return tuple(infos)

    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives (minimised) and constraint excesses, see `Problem.evaluate`.

        Raises:
            EvaluationError: a function of the user's fails or gives something else than one number per network.
        """
        if self.of_columns and len(genomes) > ROWS:
            parts = [self.evaluate(genomes[start : start + ROWS]) for start in range(0, len(genomes), ROWS)]
            return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
        slow = np.full((len(genomes), len(self.slow_functions)), np.nan)
        if self.slow:
            self._slow.drop_those_of_changed()
            with progress_bar("networks", len(genomes)) as advance:
                for result in self._slow.of(genomes):
                    slow[result.row] = result.values
                    advance(1)
        return self.assemble(genomes, slow)

    @cached_property
    def of_columns(self) -> bool:
        """True where no function of a user's takes part."""
        return not any(isinstance(item, CustomObjective) for item in self._items)

    @cached_property
    def slow_functions(self) -> tuple[CustomObjective, ...]:
        """The functions that take one network at a time, objectives first."""
        return tuple(item for item in self._items if isinstance(item, CustomObjective) and item.per_network)

    @property
    def _items(self) -> tuple[Objective | Constraint, ...]:
        return (*self._objectives, *self._constraints)

    def known(self, genomes: Int[np.ndarray, "n blocks"]) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives and constraint excesses that the tables alone state, NaN where a function decides."""
        return self.assemble(genomes, np.full((len(genomes), len(self.slow_functions)), np.nan), functions=False)

    def assemble(
        self, genomes: Int[np.ndarray, "n blocks"], slow: Float[np.ndarray, "n s"], *, functions: bool = True
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives and constraint excesses, from the results of the slow functions.

        Args:
            genomes: the networks.
            slow: one column per function of `slow_functions`.
            functions: call the other functions too, else NaN stands for them.
        """
        networks = Networks(tables=self.tables, genomes=genomes)
        positions = networks.positions
        results = iter(slow.T)
        objectives = np.empty((len(genomes), len(self._objectives)))
        for column, item in enumerate(self._objectives):
            if isinstance(item, CustomObjective):
                value = next(results) if item.per_network else item.values(networks) if functions else np.nan
                objectives[:, column] = -value if item.maximize else value
            else:
                objectives[:, column] = item.sign(self.tables) * self._terms[item](positions)
        excess = np.empty((len(genomes), len(self.constraints)))
        column = 0
        for constraint in self._constraints:
            if isinstance(constraint, CustomObjective):
                function = constraint
                value = next(results) if function.per_network else function.values(networks) if functions else np.nan
                excess[:, column] = value
                column += 1
                continue
            value = self._terms[constraint.term](positions)
            summed = self._terms[constraint.term].summed(positions, value)
            for side in constraint.limit.sides:
                excess[:, column] = excess_of(side.sign * value, side.bound, summed)
                column += 1
        return objectives, excess

    def evaluate_iter(self, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1) -> Iterator[Outcome]:
        """Outcomes: of the whole batch at once, or network by network where functions are slow.

        See `Problem.evaluate_iter`; of the functions' own numbers of processes and `jobs` the largest counts.
        """
        if not self.slow:
            yield self.returns.outcome(self.evaluate, genomes, copy=not self.of_columns)
            return
        for result in self._slow.of(genomes, jobs=jobs):
            yield self._outcome(genomes, result)

    def _outcome(self, genomes: Int[np.ndarray, "n blocks"], result: SlowResult) -> Outcome:
        """The outcome of one of the networks."""
        if result.state != OK:
            return self.returns.failed(result.row, result.seconds, result.reason, result.state)
        row = np.array([result.row], dtype=np.int64)
        values = self.assemble(genomes[row], np.array([result.values]))
        return self.returns.finite(row, values, np.array([result.seconds]))

    def evaluate_again(self, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1) -> Iterator[Outcome]:
        """Outcomes as of `evaluate_iter`; slow functions are called, whatever they gave before."""
        self._slow.forget(genomes)
        return self.evaluate_iter(genomes, jobs=jobs)

    def processes(self, jobs: int) -> int:
        """`jobs`, or the functions' own number of processes where that is larger."""
        return self._slow.processes(jobs)

    @property
    def evaluation_task(self) -> Callable[[Int[np.ndarray, "1 blocks"]], Any]:
        """The slow functions; what the tables know stays in this process."""
        return self._slow.task if self.slow else super().evaluation_task

    def outcome_of(self, genome: Int[np.ndarray, "1 blocks"], made: Any) -> Outcome:
        """The outcome of a network from the results of its slow functions."""
        if not self.slow:
            return super().outcome_of(genome, made)
        self._slow.keep(genome[0], made[0])
        return self._outcome(genome, made[0])

    @cached_property
    def additive(self) -> Additive | None:
        """The problem as sums over genes, None where an objective or limit is no sum."""
        return additive_form(self._space, self.tables, self._objectives, self._constraints)

    @cached_property
    def additive_part(self) -> Additive | None:
        """The additive objectives and limits alone, for seeds; None where no objective is a sum."""
        if self.additive is not None:
            return self.additive
        terms = [item for item in self._objectives if isinstance(item, Term) and item.additive]
        return additive_form(self._space, self.tables, terms, self._additive_constraints) if terms else None

    @cached_property
    def additive_limits(self) -> Additive | None:
        """The additive limits alone, without objectives."""
        return additive_form(self._space, self.tables, (), self._additive_constraints)

    @property
    def _additive_constraints(self) -> list[TermLimit]:
        return [item for item in self._constraints if isinstance(item, TermLimit) and item.term.additive]

    def to_pymoo(self) -> Any:
        """This problem as a pymoo `Problem`, see `evo_qnas.problem.to_pymoo`."""
        return to_pymoo(self)

    def describe(self) -> dict[str, Any]:
        """Everything but the tables as JSON-able values; functions as `module:function`."""
        return description_of(
            self._objectives, self._constraints, ties=self._ties, pins=self._pins, forbidden=self._forbidden
        )

    @classmethod
    def from_description(
        cls, tables: Tables, description: Mapping[str, Any], *, trusted: bool = False
    ) -> "TableProblem":
        """The problem that `describe` described.

        Raises:
            ProblemError: it names functions and is not `trusted`, so that none is imported, or one cannot be imported.
        """
        functions = imported_functions(description, trusted=trusted)
        return cls(
            tables,
            [functions.get(text, text) for text in description["objectives"]],
            [functions.get(text, text) for text in description.get("constraints", ())],
            ties=description.get("ties", ()),
            pins=description.get("pins"),
            forbidden=description.get("forbidden"),
        )

    @property
    def fingerprint(self) -> str:
        """A digest of the tables' values, objectives, limits and what functions depend on at this moment."""
        self._slow.drop_those_of_changed()
        return fingerprint_of(self.describe(), self._items, self.tables)
