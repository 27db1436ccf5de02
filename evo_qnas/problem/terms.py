"""What an objective or limit is made of: a column summed, its mean or maximum over blocks, or a count of operators."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.tables import Tables

Kind = Literal["sum", "mean", "max", "distinct"]

_LABELS = ("operator", "weight_bits", "activation_bits")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A number per network.

    `sum` and `mean` (over blocks) of a column include the fixed part, `max` takes it as one more block; `distinct`
    counts different operators, weight bits or activation bits.

    Attributes:
        kind: how the blocks are put together.
        name: column, or for `distinct` one of `operator`, `weight_bits`, `activation_bits`.
    """

    kind: Kind
    name: str

    @property
    def text(self) -> str:
        """As it is written in a card."""
        if self.kind == "sum":
            return self.name
        return f"distinct({self.name})" if self.kind == "distinct" else f"{self.kind}:{self.name}"

    @property
    def additive(self) -> bool:
        """Whether the number is a sum over blocks."""
        return self.kind in {"sum", "mean"}

    def unit(self, tables: Tables) -> str:
        """Unit of the number."""
        return "1" if self.kind == "distinct" else tables.column(self.name).unit

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
        kind: how the blocks are put together.
        flat: (all choices,) numbers, for `distinct` integer codes.
        fixed: what the fixed part adds, for `max` one more block's value.
    """

    kind: Kind
    flat: Float[np.ndarray, " flat"] | Int[np.ndarray, " flat"]
    fixed: float

    @classmethod
    def of(cls, term: Term, tables: Tables) -> "TermValues":
        """The numbers of `term` in `tables`."""
        if term.kind == "distinct":
            return cls(kind=term.kind, flat=_codes(tables, term.name), fixed=0.0)
        if term.kind == "max":
            column = tables.column(term.name)
            return cls(kind=term.kind, flat=np.concatenate(column.values), fixed=column.fixed)
        parts, offset = term.parts(tables)
        return cls(kind=term.kind, flat=np.concatenate(parts), fixed=offset)

    def __call__(self, places: Int[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
        """(n,) float64 of networks given as positions in `flat`."""
        # take gives C order whatever the order of places, so that a row's sum never depends on its batch.
        picked = self.flat.take(places)
        if self.kind == "distinct":
            return _distinct(picked)
        if self.kind == "max":
            largest: np.ndarray = picked.max(axis=1)
            return np.maximum(largest, self.fixed) if self.fixed else largest
        total: np.ndarray = picked.sum(axis=1) + self.fixed
        return total


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


def parse_term(text: str, tables: Tables) -> Term:
    """The term that `text` names: `column`, `mean:column`, `max:column` or `distinct(operator)`.

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
    name = plain
    if ":" in plain:
        prefix, _, name = plain.partition(":")
        if prefix not in {"sum", "mean", "max"}:
            raise ProblemError(f"{plain!r}: before the colon stands sum, mean or max, not {prefix!r}")
        kind = "sum" if prefix == "sum" else "mean" if prefix == "mean" else "max"
    if name not in tables.columns:
        raise ProblemError(f"the tables have no column {name!r} (in {plain!r}); there are: {', '.join(tables.columns)}")
    return Term(kind=kind, name=name)
