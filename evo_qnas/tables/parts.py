"""The parts of tables: blocks with their choices, columns with their values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import TableError

Direction = Literal["minimize", "maximize"]
Combine = Literal["sum", "max"]

# The widest number that any runtime has.
MAX_BITS = 64
# Activation bits of what is computed in floats.
FLOAT_BITS = 32


def bits_in_words(weight: int, activation: int) -> str:
    """The bits of a choice for people, "" where none are known; floats by their width.

    Example:
        >>> bits_in_words(4, 8), bits_in_words(16, 32), bits_in_words(8, 0)
        ('w4 a8', 'float16', 'w8')
    """
    if activation == FLOAT_BITS and weight in {16, 32}:
        return f"float{weight}"
    return " ".join(f"{letter}{bits}" for letter, bits in (("w", weight), ("a", activation)) if bits)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The choices of one block, in the order of their indices in a genome.

    Attributes:
        name: unique among the blocks of the tables.
        operators: (choices,) operator names.
        weight_bits: (choices,) int64, bits; 0 where the tables know none.
        activation_bits: (choices,) int64, bits; 0 where the tables know none.
    """

    name: str
    operators: tuple[str, ...]
    weight_bits: Int[np.ndarray, " choices"]
    activation_bits: Int[np.ndarray, " choices"]

    def __post_init__(self) -> None:
        """Refuses blocks without choices, with parts of different lengths or with bits that are none."""
        check_name("block", self.name)
        for operator in dict.fromkeys(self.operators):
            check_name(f"operator of block {self.name!r}", operator)
        if not self.operators:
            raise TableError(f"block {self.name!r} has no choice: at least one is needed")
        for what, bits in (("weight_bits", self.weight_bits), ("activation_bits", self.activation_bits)):
            if bits.shape != (len(self.operators),):
                raise TableError(
                    f"block {self.name!r} has {len(self.operators)} operators and {what} of shape {bits.shape}"
                )
            if bits.dtype.kind not in "iu" or ((bits < 0) | (bits > MAX_BITS)).any():
                raise TableError(f"block {self.name!r}: {what} must be whole numbers from 0 to {MAX_BITS}")

    def __len__(self) -> int:
        return len(self.operators)

    @property
    def stamp(self) -> bytes:
        """Bytes that are equal for equal blocks only, for digests."""
        bits = np.stack([self.weight_bits, self.activation_bits]).astype("<i8")
        return json.dumps([self.name, self.operators]).encode() + bits.tobytes()

    @property
    def labels(self) -> list[tuple[str, int, int]]:
        """(operator, weight bits, activation bits) of each choice."""
        return list(zip(self.operators, map(int, self.weight_bits), map(int, self.activation_bits), strict=True))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One number per block and choice.

    Attributes:
        name: column name, `score`, `size_bytes`, ...
        values: per block (choices,) float64.
        stderr: per block (choices,) float64 standard errors of `values`, or None where unknown.
        unit: unit of the values, `"1"` for a plain number.
        direction: whether less or more is better.
        source: where the numbers come from, in words.
        fixed: what the fixed part of the network adds to the sum (for `max`: its own value), in the same unit.
        combine: what a network's number is of those of its blocks: their sum, or the largest (peak memory).
        details: how the numbers came about, for people: texts, numbers and lists of them that JSON can hold.
    """

    name: str
    values: tuple[Float[np.ndarray, " _"], ...]
    stderr: tuple[Float[np.ndarray, " _"], ...] | None = None
    unit: str = "1"
    direction: Direction = "minimize"
    source: str = ""
    fixed: float = 0.0
    combine: Combine = "sum"
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __reduce__(self) -> tuple[Any, ...]:
        """For worker processes: read-only mappings cannot be pickled."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return _column, ({**fields, "details": dict(self.details)},)

    def __post_init__(self) -> None:
        """Refuses a name, direction or combination that is none."""
        check_name("column", self.name)
        wrong = next((mark for mark in ("/", ":", "<", ">", "=") if mark in self.name), None)
        if wrong or self.name.endswith("_stderr"):
            raise TableError(f"column name {self.name!r} must not contain / : < > = nor end with _stderr")
        if self.direction not in ("minimize", "maximize"):
            raise TableError(f"column {self.name!r}: the direction is minimize or maximize, not {self.direction!r}")
        if self.combine not in ("sum", "max"):
            raise TableError(f"column {self.name!r}: blocks combine by sum or max, not {self.combine!r}")

    def total(self, picked: Float[np.ndarray, "n blocks"]) -> Float[np.ndarray, " n"]:
        """(n,) float64: networks' numbers from those of their blocks, the fixed part included."""
        if self.combine == "max":
            largest: np.ndarray = np.maximum(picked.max(axis=1), self.fixed)
            return largest
        totals: np.ndarray = picked.sum(axis=1) + self.fixed
        return totals


def _column(fields: dict[str, Any]) -> Column:
    """A column of its parts."""
    return Column(**fields)


def check_name(what: str, name: str) -> None:
    """Refuses names that files could not hold as they are.

    Raises:
        TableError: the name is empty, begins with #, or has spaces at its ends or characters that do not print.

    Example:
        >>> check_name("block", "layer3.0")
    """
    if not name or name != name.strip() or name.startswith("#") or not name.isprintable():
        raise TableError(
            f"the {what} name {name!r} must be printable text without spaces at its ends and must not begin with #"
        )
