"""`Archive`: every evaluation of one search, its front, its history and its validated networks."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import Front, front_rows, signs
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import History, traced
from evo_qnas.archive.journal import Leftover, journal_path, read_journal
from evo_qnas.archive.layout import Contents
from evo_qnas.archive.reading import StoredFile, open_stored


@final
class Archive:
    """Every evaluation of one search in order, with its front.

    `objectives` and the front's are in the user's own direction: a maximised objective reads as the user wrote it.
    `evaluations` are what the search saw: all minimised.
    """

    def __init__(self, contents: Contents, path: Path | None = None, stored: StoredFile | None = None) -> None:
        self._contents = contents
        self._stored = stored
        self.path = path

    @classmethod
    def load(cls, path: str | Path) -> "Archive":
        """The archive at `path`, with what the journal of an interrupted or running search adds to it.

        The front and the history of a finished archive are read at once, its evaluations when they are asked for.

        Raises:
            ArchiveError: the file is missing, is no archive, is of a later version, or is damaged.
        """
        place = Path(path)
        while True:
            stored = open_stored(place)
            left = read_journal(journal_path(place))
            if left is None and not stored.finished and not stored.is_current():
                continue
            break
        if left is not None and left.run == stored.run:
            contents = merged_contents(stored, left)
            early = left.unplaced(contents.evaluations)
            if early is not None:
                contents = replace(contents, evaluations=Evaluations.joined([contents.evaluations, early]))
            return cls(contents, place)
        empty = Evaluations.empty(0, 0, 0)
        contents = Contents(
            run=stored.run,
            header=stored.header,
            evaluations=empty,
            finished=stored.finished,
            extras=stored.extras,
            validated=stored.validated,
        )
        return cls(contents, place, stored)

    def __len__(self) -> int:
        return len(self._contents.evaluations) if self._stored is None else len(self._stored)

    def __repr__(self) -> str:
        place = "in memory" if self.path is None else str(self.path)
        return f"Archive({place}: {len(self)} evaluations, {len(self.front)} on the front, {self.header.algorithm})"

    @property
    def header(self) -> Header:
        """Which search it is."""
        return self._contents.header

    @property
    def finished(self) -> bool:
        """Whether the search came to its end."""
        return self._contents.finished

    @cached_property
    def evaluations(self) -> Evaluations:
        """All evaluations in order, objectives minimised."""
        return self._contents.evaluations if self._stored is None else self._stored.evaluations()

    @property
    def genomes(self) -> Int[np.ndarray, "n blocks"]:
        """(n, blocks) int64: the genomes in the order of their evaluation."""
        return self.evaluations.genomes

    @property
    def objectives(self) -> Float[np.ndarray, "n m"]:
        """(n, m) float64: the objectives, each in the user's own direction."""
        values: np.ndarray = self.evaluations.objectives * self._signs
        return values

    @property
    def constraints(self) -> Float[np.ndarray, "n k"]:
        """(n, k) float64: constraint excesses, met where <= 0."""
        return self.evaluations.constraints

    @cached_property
    def front(self) -> Front:
        """The non-dominated feasible networks, sorted by the objectives."""
        if self._stored is not None:
            rows, genomes, objectives, constraints = self._stored.front
            return Front(rows=rows, genomes=genomes.astype(np.int64), objectives=objectives, constraints=constraints)
        return self._chosen(front_rows(self.evaluations))

    @cached_property
    def history(self) -> History:
        """Evaluations, feasible ones and hypervolume so far, per generation."""
        return traced(self.evaluations)[1] if self._stored is None else self._stored.history

    @property
    def _signs(self) -> Float[np.ndarray, " m"]:
        return signs([info.maximize for info in self.header.objectives])

    def _chosen(self, rows: Int[np.ndarray, " n"]) -> Front:
        """Some of the evaluations, as the user reads them."""
        return Front(
            rows=rows,
            genomes=self.evaluations.genomes[rows],
            objectives=self.evaluations.objectives[rows] * self._signs,
            constraints=self.evaluations.constraints[rows],
        )


def merged_contents(stored: StoredFile, left: Leftover | None) -> Contents:
    """An archive file with what its journal adds."""
    evaluations = stored.evaluations()
    merged = evaluations if left is None else left.merged(stored.run, evaluations)
    return Contents(
        run=stored.run,
        header=replace(stored.header, tables=stored.tables()),
        evaluations=merged,
        finished=stored.finished and len(merged) == len(evaluations),
        extras=stored.extras,
        validated=stored.validated,
    )
