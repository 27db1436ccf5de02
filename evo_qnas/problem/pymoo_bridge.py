"""The one bridge between problems and pymoo: pymoo's problems as ours, ours as pymoo's."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int
from pymoo.core.problem import Problem as Original
from pymoo.core.variable import Binary, Choice, Integer

from evo_qnas.errors import EvaluationError, ProblemError
from evo_qnas.fingerprints import digest
from evo_qnas.problem.info import ConstraintInfo, ObjectiveInfo
from evo_qnas.problem.outcome import OK
from evo_qnas.problem.problem import Problem
from evo_qnas.spaces import Additive, Space

# The deviation that pymoo itself allows an equality constraint (its option cv_eq).
_EQUAL = 1e-4
# A gene of more values would not be a choice; its arrays would take more memory than a search.
_MOST_VALUES = 1_000_000
# Of a pymoo problem's attributes those that change no value: fronts it has worked out, and how calls are spread.
_NO_INPUTS = ("cache", "callback", "elementwise_runner", "exclude_from_serialization")
_ENTRIES = ("__call__", "evaluate", "do", "_evaluate", "_evaluate_vectorized", "_evaluate_elementwise")


# pymoo marks permutations nowhere but in the operators of their algorithms.
_PERMUTATIONS = ("TravelingSalesman", "FlowshopScheduling")


@final
class PymooProblem(Problem):
    """A pymoo problem of integer, boolean or choice variables; one block per variable, one choice per value.

    Attributes:
        original: the pymoo problem.
    """

    def __init__(self, original: Any, *, vtype: type | None = None, noisy: bool = False) -> None:
        """Wraps `original`; `vtype` is what its variables are where it does not say so itself.

        Raises:
            ProblemError: it is no pymoo problem, one of permutations, or a variable is real or unbounded.
        """
        if not isinstance(original, Original):
            raise ProblemError(f"{original!r} is no pymoo Problem")
        refuse_permutations(original)
        self.original = original
        self.noisy = noisy
        named = getattr(original, "vars", None)
        self._vtype = original.vtype if vtype is None else vtype
        self._names, values = _named(named) if named else _numbered(original, self._vtype)
        self._values = tuple(np.array(part, dtype=object) for part in values)
        self._lookups = [{_key(value): index for index, value in enumerate(part)} for part in values]
        self._mapping = isinstance(named, Mapping) and bool(named)
        self._low = None if named else np.array([part[0] for part in values], dtype=np.int64)
        self._space = Space.from_counts([len(part) for part in values], self._names)

    @property
    def space(self) -> Space:
        """One gene per variable."""
        return self._space

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """F in pymoo's order, minimised as it is there."""
        return tuple(ObjectiveInfo(name=f"f{index + 1}") for index in range(self.original.n_obj))

    @property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """G, then H."""
        unequal = [ConstraintInfo(name=f"g{index + 1}") for index in range(self.original.n_ieq_constr)]
        return (*unequal, *(ConstraintInfo(name=f"h{index + 1}") for index in range(self.original.n_eq_constr)))

    @property
    def additive(self) -> Additive | None:
        """None: pymoo problems do not say whether they are sums."""
        return None

    @property
    def fingerprint(self) -> str:
        """A digest of the problem's class, of its state and of what its methods depend on at this moment."""
        values = [(name, list(part)) for name, part in zip(self._names, self._values, strict=True)]
        return digest((self.original, values), entries=_ENTRIES, ignored=_NO_INPUTS)

    def describe(self) -> dict[str, Any]:
        """Per variable the values of its choices, so that an archive shows them: a range of integers, or a list."""
        ranges = self.original.vars if self._low is None else None
        kinds = list(ranges.values() if isinstance(ranges, Mapping) else ranges or [])
        whole = [kind is None or isinstance(kind, Integer) for kind in kinds or [None] * len(self._values)]
        return {
            "kind": "values",
            "values": [
                {"first": int(part[0]), "last": int(part[-1])} if ordered else [_plain(value) for value in part]
                for ordered, part in zip(whole, self._values, strict=True)
            ],
        }

    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """F, and G with the excess of |H| over pymoo's tolerance of 1e-4.

        Raises:
            EvaluationError: F, G or H is missing or has another shape.
        """
        n = len(genomes)
        out = self.original.evaluate(self.variables_of(genomes), return_as_dictionary=True)
        parts = []
        for key, width in (
            ("F", self.original.n_obj),
            ("G", self.original.n_ieq_constr),
            ("H", self.original.n_eq_constr),
        ):
            part = np.ma.filled(np.ma.asarray(out[key], dtype=np.float64), np.nan) if width else np.empty((n, 0))
            if part.shape != (n, width):
                raise EvaluationError(
                    f"pymoo problem {self.original.name()}: {key} must be ({n}, {width}), got {part.shape}"
                )
            if part.size and np.isinf(part).all():
                self._check_set(key, genomes)
            parts.append(part)
        return parts[0], np.concatenate([parts[1], np.abs(parts[2]) - _EQUAL], axis=1)

    def _check_set(self, key: str, genomes: Int[np.ndarray, "n blocks"]) -> None:
        """Refuses a problem that leaves F, G or H out, for which pymoo puts infinity."""
        out: dict[str, Any] = {}
        variables = self.variables_of(genomes[:1])
        self.original._evaluate(variables[0] if self.original.elementwise else variables, out)
        if out.get(key) is None:
            name = self.original.name()
            raise EvaluationError(f"pymoo problem {name} sets no {key}: its _evaluate must set out[{key!r}]")

    def variables_of(self, genomes: Int[np.ndarray, "n blocks"]) -> np.ndarray:
        """Genomes in the original's own form: a matrix of integers or booleans, or dicts where it has `vars`."""
        if self._low is not None:
            values = genomes + self._low
            return values.astype(bool) if self._vtype is bool else values
        columns = [part[genomes[:, index]] for index, part in enumerate(self._values)]
        if not self._mapping:
            matrix: np.ndarray = np.stack(columns, axis=1)
            return matrix
        rows = np.empty(len(genomes), dtype=object)
        for row in range(len(genomes)):
            rows[row] = {name: column[row] for name, column in zip(self._names_raw, columns, strict=True)}
        return rows

    @property
    def _names_raw(self) -> list[Any]:
        """The keys of `vars` as the original has them."""
        return list(self.original.vars)

    def genomes_of(self, X: Any) -> Int[np.ndarray, "n blocks"]:
        """(n, blocks) int64 of variables as pymoo's operators give them; numbers are rounded and clipped.

        Raises:
            ProblemError: a value is no option of its variable.
        """
        if self._low is not None:
            matrix = np.atleast_2d(np.asarray(X, dtype=np.float64))
            highest = self._space.choices - 1
            return np.clip(np.rint(matrix - self._low), 0, highest).astype(np.int64)
        rows = [[row[name] for name in self._names_raw] if isinstance(row, Mapping) else list(row) for row in X]
        genomes = np.empty((len(rows), len(self._values)), dtype=np.int64)
        for number, row in enumerate(rows):
            for index, value in enumerate(row):
                option = self._lookups[index].get(_key(value))
                if option is None:
                    raise ProblemError(f"variable {self._names[index]!r} has no option {value!r}")
                genomes[number, index] = option
        return genomes


def refuse_permutations(problem: Original) -> None:
    """Refuses pymoo's problems of permutations, whose integers are not free.

    Raises:
        ProblemError: it is one of them.
    """
    if any(kind.__name__ in _PERMUTATIONS and kind.__module__.startswith("pymoo.") for kind in type(problem).__mro__):
        raise ProblemError(
            f"pymoo problem {problem.name()} is one of permutations: only free variables can be searched"
        )


def _plain(value: Any) -> bool | int | float | str:
    """An option as JSON holds it; its text where JSON cannot."""
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not np.isfinite(plain):
        return str(plain)
    return plain if isinstance(plain, bool | int | float | str) else str(plain)


def _key(value: Any) -> Any:
    """Equal for equal options, numpy's and Python's alike."""
    plain = value.item() if isinstance(value, np.generic) else value
    return (isinstance(plain, bool), plain) if isinstance(plain, (bool, int, float, str)) else repr(plain)


def _named(variables: Any) -> tuple[list[str], list[list[Any]]]:
    """Names and values of the variables in pymoo's `vars`."""
    pairs = list(variables.items()) if isinstance(variables, Mapping) else list(enumerate(variables))
    values: list[list[Any]] = []
    for name, variable in pairs:
        if isinstance(variable, Integer):
            values.append(_range(f"variable {name!r}", *variable.bounds))
        elif isinstance(variable, Binary):
            values.append([False, True])
        elif isinstance(variable, Choice):
            values.append(list(variable.options))
        else:
            raise ProblemError(
                f"variable {name!r} is {type(variable).__name__}: only Integer, Binary and Choice can be searched"
            )
    return [str(name) if isinstance(variables, Mapping) else f"x{name}" for name, _ in pairs], values


def _numbered(original: Original, vtype: type) -> tuple[list[str], list[list[Any]]]:
    """Names and values of a problem with integer or boolean bounds."""
    if vtype is not int and vtype is not bool:
        raise ProblemError(
            f"pymoo problem {original.name()} has {getattr(vtype, '__name__', vtype)} variables: only int, bool "
            "or `vars` of Integer, Binary and Choice can be searched; where they are bits or integers in fact, say so "
            "with from_pymoo(problem, vtype=bool)"
        )
    names = [f"x{index}" for index in range(original.n_var)]
    if vtype is bool:
        return names, [[0, 1] for _ in names]
    if original.xl is None or original.xu is None:
        raise ProblemError(f"pymoo problem {original.name()} has no bounds: set xl and xu")
    return names, [_range(name, low, high) for name, low, high in zip(names, original.xl, original.xu, strict=True)]


def _range(name: str, low: Any, high: Any) -> list[Any]:
    if low is None or high is None or not np.isfinite([low, high]).all():
        raise ProblemError(f"{name} has no finite bounds, got {low} .. {high}")
    first, last = int(np.ceil(low)), int(np.floor(high))
    if not first <= last < first + _MOST_VALUES:
        raise ProblemError(f"{name} must have 1 to {_MOST_VALUES} values, got {low} .. {high}")
    return list(range(first, last + 1))


@final
class ExportedProblem(Original):
    """One of our problems for plain pymoo: one integer variable per gene, failed networks are infinitely bad.

    Attributes:
        original: our problem.
    """

    def __init__(self, original: Problem) -> None:
        """Wraps `original`; its constraints become G <= 0."""
        self.original = original
        super().__init__(
            n_var=len(original.space.genes),
            n_obj=len(original.objectives),
            n_ieq_constr=len(original.constraints),
            xl=np.zeros(len(original.space.genes)),
            xu=(original.space.counts - 1).astype(float),
            vtype=int,
        )

    def genomes_of(self, X: Any) -> Int[np.ndarray, "n blocks"]:
        """(n, blocks) genomes of gene values; numbers are rounded and clipped."""
        genes = np.rint(np.atleast_2d(np.asarray(X, dtype=np.float64)))
        return self.original.space.decode(np.clip(genes, 0, self.original.space.counts - 1).astype(np.int64))

    def variables_of(self, genomes: Int[np.ndarray, "n blocks"]) -> Int[np.ndarray, "n genes"]:
        """(n, genes) gene values of genomes."""
        return self.original.space.encode(genomes)

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        """Fills in F and G."""
        F = np.full((len(x), self.n_obj), np.inf)
        G = np.full((len(x), self.n_ieq_constr), np.inf)
        for outcome in self.original.evaluate_iter(self.genomes_of(x)) if len(x) else ():
            # NaN would rank first in pymoo's sorting.
            ok = outcome.state == OK
            F[outcome.rows[ok]], G[outcome.rows[ok]] = outcome.objectives[ok], outcome.constraints[ok]
        out["F"], out["G"] = F, G
