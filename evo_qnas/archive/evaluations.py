"""Evaluations: what a search has tried, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float, Int, Int32, Integer, UInt8

from evo_qnas.archive.pickling import reduced
from evo_qnas.errors import ArchiveError
from evo_qnas.problem.outcome import OK


@final
@dataclass(frozen=True, kw_only=True)
class Evaluations:
    """Evaluated networks in the order of the search; all objectives minimised (a maximised one is negated).

    Attributes:
        genomes: (n, blocks) int64 (smaller integers where a recorder holds them).
        objectives: (n, m) float64; NaN where the state is not ok.
        constraints: (n, k) float64 excesses, met where <= 0; k may be 0.
        generation: (n,) int32, from 0.
        seconds: (n,) float64, seconds from the start of the search to the moment the values were known.
        state: (n,) uint8: 0 ok, 1 failed, 2 timed out.
        reasons: per row that is not ok, why; rows count from the first one of these evaluations.
    """

    genomes: Integer[np.ndarray, "n blocks"]
    objectives: Float[np.ndarray, "n m"]
    constraints: Float[np.ndarray, "n k"]
    generation: Int32[np.ndarray, " n"]
    seconds: Float[np.ndarray, " n"]
    state: UInt8[np.ndarray, " n"]
    reasons: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Refuses parts of different lengths."""
        lengths = [len(part) for part in self.parts]
        if len(set(lengths)) > 1:
            raise ArchiveError(f"the parts of evaluations need one length, got {lengths}")

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: read-only mappings cannot be pickled."""
        return reduced(self)

    def __len__(self) -> int:
        return len(self.genomes)

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """Genomes, objectives, constraints, generation, seconds and state, in this order."""
        return self.genomes, self.objectives, self.constraints, self.generation, self.seconds, self.state

    @property
    def feasible(self) -> Bool[np.ndarray, " n"]:
        """(n,) bool: evaluated without failure, finite, and within all constraints."""
        fine = (self.state == OK) & np.isfinite(self.objectives).all(axis=1)
        met: np.ndarray = fine & (self.constraints <= 0).all(axis=1)
        return met

    @classmethod
    def empty(cls, blocks: int, m: int, k: int) -> "Evaluations":
        """No evaluations of genomes of `blocks` blocks, with `m` objectives and `k` constraints."""
        return cls.ok(np.zeros((0, blocks), np.int64), np.zeros((0, m)), np.zeros((0, k)))

    @classmethod
    def ok(
        cls,
        genomes: Int[np.ndarray, "n blocks"],
        objectives: Float[np.ndarray, "n m"],
        constraints: Float[np.ndarray, "n k"],
        *,
        generation: int = 0,
        seconds: float = 0.0,
    ) -> "Evaluations":
        """One batch in which nothing failed, known at one moment.

        Example:
            >>> len(Evaluations.ok(np.array([[0, 1]]), np.array([[0.5, 2.0]]), np.zeros((1, 0))))
            1
        """
        n = len(genomes)
        return cls(
            genomes=genomes,
            objectives=objectives,
            constraints=constraints,
            generation=np.full(n, generation, dtype=np.int32),
            seconds=np.full(n, seconds, dtype=np.float64),
            state=np.zeros(n, dtype=np.uint8),
        )

    def rows(self, start: int, stop: int | None = None) -> "Evaluations":
        """The evaluations `start .. stop - 1`."""
        end = len(self) if stop is None else min(stop, len(self))
        reasons = {row - start: why for row, why in self.reasons.items() if start <= row < end}
        return self._from_parts([part[start:end] for part in self.parts], reasons)

    def chosen(self, rows: Int[np.ndarray, " _"]) -> "Evaluations":
        """The evaluations of these rows, in their order."""
        reasons = {at: self.reasons[row] for at, row in enumerate(rows.tolist()) if row in self.reasons}
        return self._from_parts([part[rows] for part in self.parts], reasons)

    @classmethod
    def joined(cls, several: Sequence["Evaluations"]) -> "Evaluations":
        """All evaluations of a non-empty sequence, one after another."""
        if len(several) == 1:
            return several[0]
        reasons: dict[int, str] = {}
        filled = 0
        for part in several:
            reasons.update({filled + row: why for row, why in part.reasons.items()})
            filled += len(part)
        columns = zip(*(part.parts for part in several), strict=True)
        return cls._from_parts([np.concatenate(column) for column in columns], reasons)

    @classmethod
    def _from_parts(cls, parts: Sequence[np.ndarray], reasons: Mapping[int, str]) -> "Evaluations":
        genomes, objectives, constraints, generation, seconds, state = parts
        return cls(
            genomes=genomes,
            objectives=objectives,
            constraints=constraints,
            generation=generation,
            seconds=seconds,
            state=state,
            reasons=MappingProxyType(dict(reasons)),
        )


def narrow(genomes: Integer[np.ndarray, "n blocks"]) -> Integer[np.ndarray, "n blocks"]:
    """The genomes in the smallest of uint8, uint16 and int64 that holds them."""
    if genomes.dtype.kind == "u":
        return genomes
    # Negative values read as huge ones, so one pass finds both ends.
    high = int(np.ascontiguousarray(genomes, dtype=np.int64).view(np.uint64).max(initial=0))
    if high <= np.iinfo(np.uint8).max:
        return genomes.astype(np.uint8)
    return genomes.astype(np.uint16 if high <= np.iinfo(np.uint16).max else np.int64)
