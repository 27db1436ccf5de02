"""Problems whose every network was measured: a genome is looked up, nothing is a sum."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.problem.info import ConstraintInfo, ObjectiveInfo
from evo_qnas.problem.problem import Problem
from evo_qnas.spaces import Additive, Space
from evo_qnas.tables import unit_of
from evo_qnas.tables.importers import read_macro


@final
class LookupProblem(Problem):
    """A black box over measured networks; genomes that were not measured are failed evaluations (NaN).

    Example:
        >>> problem = LookupProblem(np.array([[0, 1], [1, 1]]), {"error": np.array([3.0, 2.0])})
        >>> problem.evaluate(np.array([[1, 1], [0, 0]]))[0]
        array([[ 2.],
               [nan]])
    """

    fully_fingerprinted = True

    def __init__(
        self,
        genomes: Int[np.ndarray, "n blocks"],
        columns: Mapping[str, Float[np.ndarray, " _"]],
        *,
        units: Mapping[str, str] | None = None,
        maximize: Sequence[str] = (),
    ) -> None:
        """Takes over what was measured.

        Args:
            genomes: the measured networks; of equal rows the last counts.
            columns: the objectives by name, one value per network.
            units: units by objective; where absent, the name states them.
            maximize: objectives of which more is better.

        Raises:
            ProblemError: a column has another length, is named twice, or there is none.
        """
        if not columns or genomes.ndim != 2 or not genomes.size or genomes.min() < 0:
            raise ProblemError("a look-up needs genomes (n, blocks) of non-negative integers and at least one column")
        for name, values in columns.items():
            if np.shape(values) != (len(genomes),):
                raise ProblemError(f"column {name!r} needs {len(genomes)} values, got shape {np.shape(values)}")
        for name in maximize:
            if name not in columns:
                raise ProblemError(f"there is no column {name!r} to maximise; there are: {', '.join(columns)}")
        self._space = Space.from_counts((genomes.max(axis=0) + 1).tolist())
        self._objectives = tuple(
            ObjectiveInfo(name=name, unit=(units or {}).get(name, unit_of(name)), maximize=name in maximize)
            for name in columns
        )
        signs = np.array([-1.0 if info.maximize else 1.0 for info in self._objectives])
        matrix = np.stack([np.asarray(values, dtype=np.float64) for values in columns.values()], axis=1) * signs
        rows = {row.tobytes(): index for index, row in enumerate(np.ascontiguousarray(genomes, dtype=np.int64))}
        # The last row answers for genomes that were not measured.
        self._values = np.concatenate([matrix, np.full((1, len(signs)), np.nan)])
        self._rows = rows

    @property
    def space(self) -> Space:
        """All genomes up to the largest values that were measured."""
        return self._space

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """The columns."""
        return self._objectives

    @property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        """None."""
        return ()

    @property
    def additive(self) -> Additive | None:
        """None: nothing is known of sums."""
        return None

    @property
    def fingerprint(self) -> str:
        """A digest of genomes and values."""
        mark = hashlib.sha256(repr(self._objectives).encode())
        for genome, row in self._rows.items():
            mark.update(genome + self._values[row].tobytes())
        return mark.hexdigest()

    def evaluate(
        self, genomes: Int[np.ndarray, "n blocks"]
    ) -> tuple[Float[np.ndarray, "n m"], Float[np.ndarray, "n k"]]:
        """The measured values; NaN where nothing was measured."""
        plain = np.ascontiguousarray(genomes, dtype=np.int64)
        rows = np.array([self._rows.get(genome.tobytes(), -1) for genome in plain], dtype=np.int64)
        return self._values[rows], np.empty((len(genomes), 0))


def nas_bench_macro(path: str | Path, objectives: Sequence[str] = ("error", "params")) -> LookupProblem:
    """NAS-Bench-Macro as it was measured: error (percent), params, flops of all 3^8 networks.

    Args:
        path: the `.npz` file, see `evo_qnas.tables.importers.read_macro`.
        objectives: some of `error`, `params`, `flops`.

    Raises:
        TableError: the file breaks a rule.
        ProblemError: an objective is unknown.
    """
    truth = read_macro(path)
    known = {"error": truth.error, "params": truth.params, "flops": truth.flops}
    for name in objectives:
        if name not in known:
            raise ProblemError(f"NAS-Bench-Macro has no {name!r}; there are: {', '.join(known)}")
    return LookupProblem(
        truth.genomes, {name: known[name] for name in objectives}, units={"error": "%", "flops": "MAC"}
    )
