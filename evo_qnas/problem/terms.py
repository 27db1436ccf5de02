"""Terms of objectives and limits: a column summed, its mean or maximum over blocks, or a count of operators.

Columns of several devices are called `latency_ms@pi4`, `latency_ms@esp32`; `worst:latency_ms` is the largest of a
network's sums over those devices.
"""

from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.tables import Tables

Kind = Literal["sum", "mean", "max", "worst", "distinct"]

PREFIXES: dict[str, Kind] = {"sum": "sum", "mean": "mean", "max": "max", "worst": "worst"}
# Rows whose numbers fit the processor's cache: 160 KB for 20 blocks.
ROWS = 1024
# Larger sums have no differences in float64.
_LARGEST = float(np.finfo(np.float64).max) / 4.0
_LABELS = ("operator", "weight_bits", "activation_bits")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A number per network.

    `sum` and `mean` (over blocks) of a column include the fixed part, `max` takes it as one more block; `worst` is the
    largest sum over the columns of several devices; `distinct` counts different operators, weight bits or activation
    bits. A column that combines its blocks by their largest is a `max` of its own accord.

    Attributes:
        kind: the way in which the blocks are combined.
        name: column, or for `distinct` one of `operator`, `weight_bits`, `activation_bits`.
    """

    kind: Kind
    name: str

    @property
    def text(self) -> str:
        """The term as a card writes it."""
        if self.kind == "sum":
            return self.name
        return f"distinct({self.name})" if self.kind == "distinct" else f"{self.kind}:{self.name}"

    @property
    def additive(self) -> bool:
        """True where the number is a sum over blocks."""
        return self.kind in {"sum", "mean"}

    def unit(self, tables: Tables) -> str:
        """Unit of the number."""
        return "1" if self.kind == "distinct" else tables.column(self.columns(tables)[0]).unit

    def sign(self, tables: Tables) -> float:
        """-1 for a column of which more is better, else 1."""
        return -1.0 if any(tables.column(name).direction == "maximize" for name in self.columns(tables)) else 1.0

    def columns(self, tables: Tables) -> tuple[str, ...]:
        """The columns it is made of; none for `distinct`."""
        if self.kind == "worst":
            return device_columns(tables, self.name)
        return () if self.kind == "distinct" else (self.name,)

    def parts(self, tables: Tables) -> tuple[list[Float[np.ndarray, " _"]], float]:
        """Per block what each choice adds, and the offset; only where `additive`."""
        column = tables.column(self.name)
        share = 1.0 / len(tables.blocks) if self.kind == "mean" else 1.0
        return [values * share for values in column.values], column.fixed * share

    def values(self, tables: Tables, genomes: Int[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
        """(n,) float64."""
        return TermValues.of(self, tables)(tables.starts + genomes)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TermValues:
    """A term made ready for batches: one flat array over all choices of all blocks.

    Attributes:
        kind: the way in which the blocks are combined.
        flat: (all choices,) numbers, for `distinct` integer codes.
        fixed: what the fixed part adds, for `max` one more block's value.
        others: for `worst` the sums of the other devices.
    """

    kind: Kind
    flat: Float[np.ndarray, " flat"] | Int[np.ndarray, " flat"]
    fixed: float
    others: "tuple[TermValues, ...]" = ()

    @classmethod
    def of(cls, term: Term, tables: Tables) -> "TermValues":
        """The numbers of `term` in `tables`."""
        if term.kind == "distinct":
            return cls(kind=term.kind, flat=_codes(tables, term.name), fixed=0.0)
        if term.kind == "worst":
            first, *rest = (cls.of(Term(kind="sum", name=name), tables) for name in term.columns(tables))
            return replace(first, kind="worst", others=tuple(rest))
        if term.kind == "max":
            column = tables.column(term.name)
            return cls(kind=term.kind, flat=np.concatenate(column.values), fixed=column.fixed)
        parts, offset = term.parts(tables)
        return cls(kind=term.kind, flat=np.concatenate(parts), fixed=offset)

    def check_size(self, term: Term, tables: Tables) -> None:
        """Refuses sums whose differences float64 cannot hold.

        Raises:
            ProblemError: the text names the term and the largest sum.
        """
        sizes = np.where(np.isfinite(self.flat), np.abs(self.flat), 0.0)
        with np.errstate(over="ignore"):
            largest = np.maximum.reduceat(sizes, tables.starts).sum() + abs(self.fixed)
        if largest > _LARGEST:
            raise ProblemError(f"{term.text} adds up to {largest:.3g}, beyond {_LARGEST:.3g}: use a larger unit")

    @property
    def finite(self) -> Bool[np.ndarray, " flat"]:
        """(all choices,) bool: choices with a number everywhere."""
        finite: np.ndarray = np.isfinite(self.flat)
        for other in self.others:
            finite = finite & other.finite
        return finite

    def __call__(self, positions: Int[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
        """(n,) float64 of networks given as positions in `flat`."""
        if len(positions) > ROWS:
            return np.concatenate([self(positions[start : start + ROWS]) for start in range(0, len(positions), ROWS)])
        # take gives C order whatever the order of positions, so that a row's sum never depends on its batch.
        picked = self.flat.take(positions)
        if self.kind == "distinct":
            return _distinct(picked)
        if self.kind == "max":
            largest: np.ndarray = picked.max(axis=1)
            return np.maximum(largest, self.fixed) if self.fixed else largest
        total: np.ndarray = picked.sum(axis=1) + self.fixed
        for other in self.others:
            total = np.maximum(total, other(positions))
        return total

    def summed(
        self, positions: Int[np.ndarray, "n blocks"], values: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """(n,) float64, sizes of the numbers that were added up to `values`: rounding is in proportion to them."""
        if self.kind in {"max", "distinct"} or self._one_sign:
            size: np.ndarray = np.abs(values)
            return size
        sizes: np.ndarray = np.abs(self.flat).take(positions).sum(axis=1) + abs(self.fixed)
        return sizes

    @property
    def _one_sign(self) -> bool:
        """True where no two numbers cancel."""
        return bool(min(self.flat.min(), self.fixed) >= 0.0 or max(self.flat.max(), self.fixed) <= 0.0)


def _codes(tables: Tables, label: str) -> Int[np.ndarray, " flat"]:
    """An integer per choice of all blocks, equal where the labels are."""
    if label == "operator":
        names = [name for block in tables.blocks for name in block.operators]
        return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    bits = [block.weight_bits if label == "weight_bits" else block.activation_bits for block in tables.blocks]
    return np.concatenate(bits)


def _distinct(codes: Int[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
    """(n,) number of different values in each row."""
    ordered = np.sort(codes, axis=1)
    changes: np.ndarray = (np.diff(ordered, axis=1) != 0).sum(axis=1)
    return (1 + changes).astype(np.float64)


def has_term_form(text: str) -> bool:
    """True for a text that is read as columns of tables, whether or not these have them; no function is ever meant.

    Example:
        >>> has_term_form("latency_ms"), has_term_form(" max:latency_ms"), has_term_form("my.module:memory")
        (True, True, False)
    """
    return ":" not in text or text.strip().startswith("distinct(") or _split(text)[0] in PREFIXES


def _split(text: str) -> tuple[str, str]:
    """The parts before and after the colon; nothing before it where there is none."""
    prefix, colon, name = text.strip().partition(":")
    return (prefix.strip(), name.strip()) if colon else ("", prefix)


def parse_term(text: str, tables: Tables) -> Term:
    """The term that `text` names: `column`, `mean:column`, `max:column`, `worst:column` or `distinct(operator)`.

    Raises:
        ProblemError: the form is unknown, or the tables have no such column.
    """
    plain = text.strip()
    if plain.startswith("distinct(") and plain.endswith(")"):
        label = plain[len("distinct(") : -1].strip()
        if label not in _LABELS:
            raise ProblemError(f"{plain!r}: distinct takes one of {', '.join(_LABELS)}, not {label!r}")
        return Term(kind="distinct", name=label)
    kind: Kind = "sum"
    prefix, name = _split(plain)
    if ":" in plain:
        if prefix not in PREFIXES:
            raise ProblemError(f"{plain!r}: before the colon stands {', '.join(PREFIXES)}, not {prefix!r}")
        kind = PREFIXES[prefix]
    if kind == "worst":
        return _worst(name, plain, tables)
    if name not in tables.columns:
        raise ProblemError(f"the tables have no column {name!r} (in {plain!r}); there are: {', '.join(tables.columns)}")
    if kind == "sum" and tables.columns[name].combine == "max":
        kind = "max"
    return Term(kind=kind, name=name)


def _worst(name: str, text: str, tables: Tables) -> Term:
    """The largest over devices; their columns must be costs that add up, in one unit."""
    columns = [tables.columns[column] for column in device_columns(tables, name)]
    if not columns:
        raise ProblemError(
            f"the tables have no column {name}@device (in {text!r}); there are: {', '.join(tables.columns)}"
        )
    for column in columns:
        if column.unit != columns[0].unit or column.direction != "minimize" or column.combine != "sum":
            raise ProblemError(
                f"{text!r} takes costs that add up, all in {columns[0].unit}: column {column.name!r} is in "
                f"{column.unit}, direction {column.direction}, combined by {column.combine}"
            )
    return Term(kind="worst", name=name)


def device_columns(tables: Tables, name: str) -> tuple[str, ...]:
    """The columns of a cost on several devices: `name@device`."""
    return tuple(column for column in tables.columns if column.startswith(f"{name}@"))
