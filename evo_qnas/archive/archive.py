"""`Archive`: every evaluation of one search, its front, its history and its validated networks."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.choosing import diverse_rows, knee_of, selected_rows
from evo_qnas.archive.decoding import frame_of
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import Front, signs
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import History, Traced, traced
from evo_qnas.archive.layout import Contents, versions
from evo_qnas.archive.merging import joined_contents, load_contents
from evo_qnas.archive.reading import StoredFile
from evo_qnas.archive.rebuilding import rebuilt_problem
from evo_qnas.archive.validated import Validated
from evo_qnas.archive.writing import replace_archive, with_networks, write_or_explain
from evo_qnas.errors import ArchiveError
from evo_qnas.files import write_text
from evo_qnas.frames import DataFrame
from evo_qnas.pareto import Certificate
from evo_qnas.problem import Problem
from evo_qnas.spreadsheets import frame_csv
from evo_qnas.tables import Tables


@final
class Archive:
    """Every evaluation of one search in order, with its front.

    `objectives` and the front's are in the user's own direction: a maximised objective reads as the user wrote it.
    `evaluations` are those of the search: all minimised.
    """

    def __init__(
        self,
        contents: Contents,
        path: Path | None = None,
        stored: StoredFile | None = None,
        trace: Traced | None = None,
    ) -> None:
        self._contents = contents
        self._stored = stored
        self._known_trace = trace
        self.path = path

    @classmethod
    def load(cls, path: str | Path) -> "Archive":
        """The archive at `path`, with what the journal of an interrupted or running search adds to it.

        The front and the history of a finished archive are read at once, its evaluations when they are asked for.

        Raises:
            ArchiveError: the file is missing, is no archive, is of a later version, or is damaged.
        """
        contents, stored = load_contents(Path(path))
        return cls(contents, Path(path), stored)

    def __len__(self) -> int:
        return len(self._contents.evaluations) if self._stored is None else len(self._stored)

    def __reduce__(self) -> tuple[Any, ...]:
        """The whole archive, for other processes and copies; it no longer needs its file."""
        trace = (self.front.rows, self.history)
        written = {"versions": dict(self.versions), "created_by": self.created_by}
        return Archive, (self._whole(), self.path, None, trace), written

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else str(self.path)
        return f"Archive({where}: {len(self)} evaluations, {len(self.front)} on the front, {self.header.algorithm})"

    @property
    def header(self) -> Header:
        """The search: problem, algorithm, settings and seed."""
        return self._contents.header

    @property
    def finished(self) -> bool:
        """True where the search came to its end."""
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
            return Front(
                rows=rows,
                genomes=genomes.astype(np.int64),
                objectives=objectives,
                constraints=constraints,
                header=self.header,
                load_tables=self._tables,
            )
        return self._chosen(self._trace[0])

    @cached_property
    def history(self) -> History:
        """Evaluations, feasible ones and hypervolume so far, per generation."""
        return self._trace[1] if self._stored is None else self._stored.history

    @cached_property
    def _trace(self) -> Traced:
        """Rows of the front, and the history; known where the file was just written."""
        return self._known_trace or traced(self.evaluations)

    @property
    def extras(self) -> Mapping[str, Any]:
        """Facts about the run that change nothing in it: why it ended, its seconds, its workers."""
        return self._contents.extras

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """Versions of Python and of the libraries that the archive was written with."""
        return MappingProxyType(versions()) if self._stored is None else self._stored.versions

    @cached_property
    def created_by(self) -> str:
        """The program that wrote the archive."""
        return f"evo_qnas {versions()['evo_qnas']}" if self._stored is None else self._stored.created_by

    @property
    def validated(self) -> tuple[Validated, ...]:
        """Networks that were trained and measured."""
        return self._contents.validated

    @cached_property
    def tables(self) -> Tables | None:
        """The tables the search was run on, or None where it had none."""
        return self._contents.header.tables if self._stored is None else self._stored.tables()

    @cached_property
    def problem(self) -> Problem:
        """The problem, rebuilt from the embedded tables and its description; runs no code that the file names.

        Raises:
            ArchiveError: the search was not on tables, or the problem has functions of a user's, which the text names.
        """
        return rebuilt_problem(self.header, self.tables, self._name, trusted=False)

    def trusted_problem(self) -> Problem:
        """`problem`, with the functions imported that the archive names: for archives of people you trust.

        Raises:
            ArchiveError: the search was not on tables, so that the file does not hold the problem.
            ProblemError: a function cannot be imported any more.
        """
        return rebuilt_problem(self.header, self.tables, self._name, trusted=True)

    @cached_property
    def certificate(self) -> Certificate:
        """The share of the optimum's hypervolume that the front has, where all objectives are additive.

        Raises:
            ArchiveError: see `problem`.
            ProblemError: the problem has no additive form.
        """
        from evo_qnas.pareto import certificate

        return certificate(self.problem, self.front.objectives * self._signs)

    def to_dataframe(self) -> DataFrame:
        """One row per evaluation: generation, seconds, state, objectives, excess over limits, choices in words."""
        rows = self.evaluations
        first = {"generation": rows.generation, "seconds": rows.seconds, "state": rows.state}
        return frame_of(self.header, self.tables, rows.genomes, self.objectives, rows.constraints, **first)

    def select(self, *limits: str, best: str | None = None) -> Front:
        """The front of the feasible networks that also meet `limits`; with `best` the one network best in that.

        Args:
            limits: texts such as `size_bytes <= 30000`, of objectives or any column of the tables.
            best: an objective or column; a column's own direction says whether less or more is better.

        Raises:
            ArchiveError: a limit cannot be read, a name is unknown, or no evaluated network meets the limits.
        """
        return self._chosen(selected_rows(self.header, self.tables, self.evaluations, limits, best))

    def knee(self) -> Front:
        """The one network of the front where giving up one objective starts to buy little of the others.

        Raises:
            ArchiveError: the front is empty.
        """
        rows = self._front_rows()
        return self._chosen(rows[[knee_of(self.evaluations.objectives[rows])]])

    def diverse(self, k: int, *, min_difference: float = 0.2) -> Front:
        """At most `k` good networks, the knee first, any two differing in at least that share of their blocks.

        Near-front networks stand in where the front has too few that differ.

        Raises:
            ArchiveError: the front is empty, or a number is out of range.
        """
        if k < 1 or not 0 <= min_difference <= 1:
            raise ArchiveError(f"diverse needs k >= 1 and a share from 0 to 1, got {k} and {min_difference}")
        rows = self._front_rows()
        knee = int(rows[knee_of(self.evaluations.objectives[rows])])
        return self._chosen(diverse_rows(self.evaluations, knee, k, min_difference))

    def _front_rows(self) -> Int[np.ndarray, " n"]:
        if not len(self.front):
            raise ArchiveError(f"the front of {self._name} is empty: no evaluated network meets all limits")
        return self.front.rows

    def merge(self, other: "Archive") -> "Archive":
        """Both archives' evaluations in one, in memory: this one's, then those of the other whose genomes are new.

        Raises:
            ArchiveError: they are of different problems; the text says what differs.
        """
        return Archive(joined_contents(self._whole(), other._whole()))

    def add_validation(self, *networks: Validated) -> "Archive":
        """The archive with these networks in `validated` (an earlier one of the same id goes); its file is rewritten.

        Raises:
            ArchiveError: a genome is of another length, or the file is being written by another process, was replaced
                since it was loaded, or cannot be written.
        """
        contents = with_networks(self._whole(), networks)
        if self.path is not None:
            replace_archive(contents, self.path, self._stored)
        return Archive(contents, self.path)

    def save(self, path: str | Path) -> "Archive":
        """Writes the archive to a file of its own, in one step; returns the archive of that file.

        Raises:
            ArchiveError: the file cannot be written.
        """
        contents = self._whole()
        write_or_explain(contents, Path(path))
        return Archive(contents, Path(path))

    def _whole(self) -> Contents:
        header = replace(self.header, tables=self.tables)
        return replace(self._contents, header=header, evaluations=self.evaluations)

    def to_csv(self, path: str | Path, *, formulas: bool = False) -> None:
        """Writes every evaluation as CSV, see `to_dataframe`; of `formulas` see `Front.to_csv`."""
        write_text(path, frame_csv(self.to_dataframe(), formulas=formulas))

    def to_optuna(self) -> Any:
        """An Optuna study with one trial per evaluation (needs optuna); see `export.to_optuna`."""
        from evo_qnas.archive.export import to_optuna

        return to_optuna(self.header, self.tables, self.evaluations)

    @property
    def _name(self) -> str:
        return "the archive in memory" if self.path is None else str(self.path)

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
            header=self.header,
            load_tables=self._tables,
        )

    def _tables(self) -> Tables | None:
        return self.tables
