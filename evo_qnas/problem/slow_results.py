"""The slow functions of a problem with the results that they have given, so that none is called twice for a network."""

from collections.abc import Iterator
from dataclasses import replace
from typing import final

import numpy as np
from jaxtyping import Int

from evo_qnas.problem.custom import CustomObjective
from evo_qnas.problem.outcome import OK
from evo_qnas.problem.slow import SlowResult, SlowTask, run_slow
from evo_qnas.tables import Tables


@final
class SlowResults:
    """Results of the functions that take one network at a time, kept while the functions stay as they are."""

    def __init__(self, functions: tuple[CustomObjective, ...], tables: Tables) -> None:
        self.functions = functions
        self._tables = tables
        self._known: dict[bytes, SlowResult] = {}
        self._digests: tuple[str, ...] = ()

    def drop_those_of_changed(self) -> None:
        """Forgets results of functions that have changed since they gave them."""
        digests = tuple(function.digest for function in self.functions)
        if digests != self._digests:
            self._known.clear()
        self._digests = digests

    def forget(self, genomes: Int[np.ndarray, "n blocks"]) -> None:
        """Forgets the results of some networks."""
        for genome in genomes:
            self._known.pop(_key(genome), None)

    def keep(self, genome: Int[np.ndarray, " blocks"], result: SlowResult) -> None:
        """Takes a result; those that failed are tried again."""
        if result.state == OK:
            self._known[_key(genome)] = result

    @property
    def task(self) -> SlowTask:
        """What a worker needs to make results."""
        return SlowTask(functions=self.functions, tables=self._tables)

    def processes(self, jobs: int) -> int:
        """The number of processes: the functions' own wins where it is larger (-1: one per core)."""
        counts = [jobs, *(function.jobs for function in self.functions)]
        return -1 if min(counts) < 0 else max(counts)

    def of(self, genomes: Int[np.ndarray, "n blocks"], *, jobs: int = 1) -> Iterator[SlowResult]:
        """Results as the networks end, in any order; networks evaluated before answer at once.

        Args:
            genomes: the networks.
            jobs: processes, see `processes`.
        """
        fresh = []
        for row, genome in enumerate(genomes):
            known = self._known.get(_key(genome))
            if known is None:
                fresh.append(row)
            else:
                yield replace(known, row=row)
        for result in run_slow(self.functions, self._tables, genomes[fresh], jobs=self.processes(jobs)):
            self.keep(genomes[fresh[result.row]], result)
            yield replace(result, row=fresh[result.row])


def _key(genome: Int[np.ndarray, " blocks"]) -> bytes:
    return np.ascontiguousarray(genome, dtype=np.int64).tobytes()
