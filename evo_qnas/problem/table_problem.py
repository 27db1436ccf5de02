"""The search problem of tables: objectives and limits over columns and functions of a user's own."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.problem.custom import CustomObjective, as_objective, import_objective
from evo_qnas.problem.foreign import to_pymoo
from evo_qnas.problem.genes import Pins, plain_rules, space_of
from evo_qnas.problem.limits import Limit, parse_limit
from evo_qnas.problem.networks import Networks
from evo_qnas.problem.problem import ConstraintInfo, ObjectiveInfo, Problem
from evo_qnas.problem.slow import OK, SlowResult, run_slow
from evo_qnas.problem.terms import PREFIXES, ROWS, Term, TermValues, parse_term
from evo_qnas.progress import progress_bar
from evo_qnas.spaces import Additive, Gene, Space
from evo_qnas.tables import Tables

Custom = CustomObjective | Callable[[Networks], Any]

_SETTINGS = ("name", "unit", "maximize", "per_network", "time_limit")


_ROUNDING = 1e-12


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
                `distinct(operator)`, or a function of `Networks` whose result is met where it is at most 0.
            ties: groups of block names that share one choice, beside those of the tables.
            pins: per block the values that `operator`, `weight_bits` or `activation_bits` must have.
            forbidden: per block the values that exclude a choice.

        Raises:
            ProblemError: a column, block or function is unknown, a limit cannot be read, or a block has no choice left.
        """
        if not objectives:
            raise ProblemError("objectives is empty: name at least one, for example 'score'")
        self.tables = tables
        self._objectives = tuple(_term(item, tables) for item in objectives)
        self._limits = tuple(_limit(item, tables) for item in constraints)
        self._ties, self._pins, self._forbidden = tuple(map(tuple, ties)), plain_rules(pins), plain_rules(forbidden)
        self._space = space_of(tables, ties=ties, pins=pins, forbidden=forbidden)
        used = [*self._objectives, *(limit.term for limit in self._limits if isinstance(limit, Limit))]
        self._terms = {term: TermValues.of(term, tables) for term in used if isinstance(term, Term)}
        self._check_finite()
        self._known: dict[bytes, SlowResult] = {}
        names = [info.name for info in self.objectives]
        for name in names:
            if names.count(name) > 1:
                raise ProblemError(f"objective {name!r} is there {names.count(name)} times: name each once")

    def _check_finite(self) -> None:
        """Refuses choices without a number in what is used: sums and fronts of them would mean nothing."""
        for term, values in self._terms.items():
            finite = values.finite
            if finite.all() and np.isfinite(values.fixed):
                continue
            for gene in self._space.genes:
                wrong = np.argwhere(~finite[self.tables.starts[gene.blocks] + gene.options])
                if len(wrong):
                    option, member = wrong[0]
                    block = self.tables.blocks[gene.blocks[member]]
                    label = block.labels[gene.options[option, member]]
                    raise ProblemError(
                        f"{term.text} has no finite number for block {block.name!r}, choice {label}: "
                        "forbid the choice, or drop such choices with Tables.drop_nan"
                    )

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
            else ObjectiveInfo(name=item.text, unit=item.unit(self.tables), maximize=_sign(item, self.tables) < 0)
            for item in self._objectives
        )

    @cached_property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """One entry for each finite end of each limit, in the order they were given; of a range the upper end first."""
        found = []
        for limit in self._limits:
            if isinstance(limit, Limit):
                found += [ConstraintInfo(name=text, unit=limit.term.unit(self.tables)) for text, _, _ in limit.sides]
            else:
                found.append(ConstraintInfo(name=limit.name, unit=limit.unit))
        return tuple(found)

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
        slow = np.full((len(genomes), len(self.slow)), np.nan)
        if self.slow:
            with progress_bar("networks", len(genomes)) as advance:
                for result in self.run_slow(genomes):
                    slow[result.row] = result.values
                    advance(1)
        return self.assemble(genomes, slow)

    @cached_property
    def of_columns(self) -> bool:
        """Whether no function of a user's takes part."""
        return not any(isinstance(item, CustomObjective) for item in (*self._objectives, *self._limits))

    @cached_property
    def slow(self) -> tuple[CustomObjective, ...]:
        """The functions that take one network at a time, objectives first."""
        return tuple(
            item
            for item in (*self._objectives, *self._limits)
            if isinstance(item, CustomObjective) and item.per_network
        )

    def run_slow(self, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1) -> Iterator[SlowResult]:
        """Results of the slow functions as the networks end, in any order; networks seen before answer at once.

        Args:
            genomes: the networks.
            jobs: processes; the functions' own number wins where it is larger (-1: one per core).
        """
        wanted = [jobs, *(function.jobs for function in self.slow)]
        fresh = []
        for row, genome in enumerate(genomes):
            known = self._known.get(np.ascontiguousarray(genome, dtype=np.int64).tobytes())
            if known is None:
                fresh.append(row)
            else:
                yield replace(known, row=row)
        for result in run_slow(self.slow, self.tables, genomes[fresh], jobs=-1 if min(wanted) < 0 else max(wanted)):
            if result.state == OK:
                genome = genomes[fresh[result.row]]
                self._known[np.ascontiguousarray(genome, dtype=np.int64).tobytes()] = result
            yield replace(result, row=fresh[result.row])

    def known(self, genomes: Int[np.ndarray, "n blocks"]) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """What the tables alone say: objectives and constraint excesses, NaN where a function decides."""
        return self.assemble(genomes, np.full((len(genomes), len(self.slow)), np.nan), functions=False)

    def assemble(
        self, genomes: Int[np.ndarray, "n blocks"], slow: Float[np.ndarray, "n s"], *, functions: bool = True
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """Objectives and constraint excesses, given what the slow functions gave.

        Args:
            genomes: the networks.
            slow: one column per function of `slow`.
            functions: call the other functions too, else NaN stands for them.
        """
        networks = Networks(tables=self.tables, genomes=genomes)
        places = networks.places
        rest = iter(slow.T)
        objectives = np.empty((len(genomes), len(self._objectives)))
        for column, item in enumerate(self._objectives):
            if isinstance(item, CustomObjective):
                value = next(rest) if item.per_network else item.values(networks) if functions else np.nan
                objectives[:, column] = -value if item.maximize else value
            else:
                value = self._terms[item](places)
                objectives[:, column] = _sign(item, self.tables) * value
        excess = np.empty((len(genomes), len(self.constraints)))
        column = 0
        for limit in self._limits:
            if isinstance(limit, CustomObjective):
                excess[:, column] = next(rest) if limit.per_network else limit.values(networks) if functions else np.nan
                column += 1
                continue
            value = self._terms[limit.term](places)
            summed = self._terms[limit.term].summed(places, value)
            for _, sign, bound in limit.sides:
                excess[:, column] = _excess(sign * value, bound, summed)
                column += 1
        return objectives, excess

    @cached_property
    def additive(self) -> Additive | None:
        """The problem as sums over genes, None where an objective or limit is no sum."""
        return self._sums(self._objectives, self._limits)

    @cached_property
    def additive_part(self) -> Additive | None:
        """The additive objectives and limits alone, what seeds can be drawn from; None where no objective is a sum."""
        terms = tuple(item for item in self._objectives if isinstance(item, Term) and item.additive)
        limits = tuple(limit for limit in self._limits if isinstance(limit, Limit) and limit.term.additive)
        return self._sums(terms, limits) if terms else None

    @cached_property
    def additive_limits(self) -> Additive | None:
        """The additive limits alone, without objectives."""
        return self._sums((), [limit for limit in self._limits if isinstance(limit, Limit) and limit.term.additive])

    def _sums(
        self, objectives: Sequence[Term | CustomObjective], limits: Sequence[Limit | CustomObjective]
    ) -> Additive | None:
        """Objectives and limits as sums over genes, None where one is no sum."""
        parts, offsets = [], []
        for item in objectives:
            if isinstance(item, CustomObjective) or not item.additive:
                return None
            values, offset = item.parts(self.tables)
            sign = _sign(item, self.tables)
            parts.append([sign * value for value in values])
            offsets.append(sign * offset)
        rows, bounds, names = [], [], []
        for limit in limits:
            if isinstance(limit, CustomObjective) or not limit.term.additive:
                return None
            values, offset = limit.term.parts(self.tables)
            for text, sign, bound in limit.sides:
                rows.append([sign * value for value in values])
                bounds.append(bound - sign * offset)
                names.append(text)
        return Additive(
            space=self._space,
            objectives=tuple(_gather(gene, parts) for gene in self._space.genes),
            offset=np.array(offsets, dtype=np.float64),
            limits=tuple(_gather(gene, rows) for gene in self._space.genes),
            bounds=np.array(bounds, dtype=np.float64),
            limit_names=tuple(names),
        )

    def to_pymoo(self) -> Any:
        """This problem as a pymoo `Problem`, see `evo_qnas.problem.to_pymoo`."""
        return to_pymoo(self)

    def describe(self) -> dict[str, Any]:
        """Everything but the tables as JSON-able values; functions as `module:function`."""
        return {
            "kind": "tables",
            "objectives": [_text(item) for item in self._objectives],
            "constraints": [
                _text(limit) if isinstance(limit, CustomObjective) else _limit_text(limit) for limit in self._limits
            ],
            "ties": [list(tie) for tie in self._ties],
            "pins": self._pins,
            "forbidden": self._forbidden,
            "functions": {
                item.reference: {key: getattr(item, key) for key in _SETTINGS}
                for item in (*self._objectives, *self._limits)
                if isinstance(item, CustomObjective)
            },
        }

    @classmethod
    def from_description(cls, tables: Tables, description: Mapping[str, Any]) -> "TableProblem":
        """The problem that `describe` described.

        Raises:
            ProblemError: it names a function that cannot be imported any more.
        """
        functions = {
            text: replace(import_objective(text), **settings)
            for text, settings in description.get("functions", {}).items()
        }
        return cls(
            tables,
            [functions.get(text, text) for text in description["objectives"]],
            [functions.get(text, text) for text in description.get("constraints", ())],
            ties=description.get("ties", ()),
            pins=description.get("pins"),
            forbidden=description.get("forbidden"),
        )

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the tables' values, objectives, limits and the sources of functions."""
        mark = hashlib.sha256(json.dumps(self.describe(), sort_keys=True, default=str).encode())
        for item in (*self._objectives, *self._limits):
            if isinstance(item, CustomObjective):
                mark.update(item.source.encode())
        mark.update(json.dumps([[b.name, b.labels] for b in self.tables.blocks]).encode())
        for column in self.tables.columns.values():
            mark.update(f"{column.name} {column.direction} {column.fixed!r}".encode())
            mark.update(np.concatenate(column.values).tobytes())
        return mark.hexdigest()


def _excess(value: Float[np.ndarray, " n"], bound: float, summed: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """`value - bound`, 0 where only the rounding of a sum is left of it: 0.1 + 0.2 - 0.3 meets a limit of 0."""
    excess: np.ndarray = value - bound
    return np.where(np.abs(excess) <= _ROUNDING * (summed + abs(bound)), 0.0, excess)


def _is_limit(text: str) -> bool:
    return "<=" in text or ">=" in text


def _sign(term: Term, tables: Tables) -> float:
    """-1 for a column of which more is better."""
    return -1.0 if any(tables.column(name).direction == "maximize" for name in term.columns(tables)) else 1.0


def _term(item: str | Custom, tables: Tables) -> Term | CustomObjective:
    """An objective from its text or function."""
    if not isinstance(item, str):
        return as_objective(item)
    prefix = item.partition(":")[0]
    if ":" in item and prefix not in PREFIXES:
        return import_objective(item)
    return parse_term(item, tables)


def _limit(item: str | Custom, tables: Tables) -> Limit | CustomObjective:
    """A limit from its text or function."""
    if not isinstance(item, str):
        return as_objective(item)
    if ":" in item and not _is_limit(item):
        return import_objective(item)
    return parse_limit(item, tables)


def _text(item: Term | CustomObjective) -> str:
    return item.reference if isinstance(item, CustomObjective) else item.text


def _limit_text(limit: Limit) -> str:
    """As `parse_limit` reads it."""
    if np.isfinite(limit.low) and np.isfinite(limit.high):
        return f"{limit.low!r} <= {limit.term.text} <= {limit.high!r}"
    return f"{limit.term.text} >= {limit.low!r}" if np.isfinite(limit.low) else f"{limit.term.text} <= {limit.high!r}"


def _gather(gene: Gene, parts: Sequence[Sequence[np.ndarray]]) -> Float[np.ndarray, "options m"]:
    """(options, m): for each option the sum over the gene's blocks."""
    columns = []
    for values in parts:
        total = np.zeros(len(gene.options))
        for member, block in enumerate(gene.blocks):
            total = total + values[block][gene.options[:, member]]
        columns.append(total)
    return np.stack(columns, axis=1) if columns else np.empty((len(gene.options), 0))
