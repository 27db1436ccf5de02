"""`Archive`: every evaluation of one search, its front, its history and its validated networks."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.compressed import write_compressed
from evo_qnas.archive.decoding import frame_of
from evo_qnas.archive.display import front_html
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import Front, signs
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import History, Traced, traced
from evo_qnas.archive.layout import Contents, versions
from evo_qnas.archive.merging import joined_contents, load_contents
from evo_qnas.archive.outside import contents_of, contents_of_frame
from evo_qnas.archive.picking import Picking
from evo_qnas.archive.reading import StoredFile
from evo_qnas.archive.rebuilding import rebuilt_problem
from evo_qnas.archive.validated import Validated
from evo_qnas.archive.writing import replace_archive, with_networks, write_or_explain
from evo_qnas.files import write_text
from evo_qnas.frames import DataFrame
from evo_qnas.pareto import Certificate, certificate
from evo_qnas.problem import Problem
from evo_qnas.spreadsheets import frame_csv
from evo_qnas.tables import Tables


@final
class Archive(Picking):
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
    def from_evaluations(
        cls, problem: Problem, genomes: Any, objectives: Any, constraints: Any = None, path: str | Path | None = None
    ) -> "Archive":
        """The archive of networks that were evaluated elsewhere; see `evo_qnas.archive.outside.contents_of`."""
        return cls._saved(contents_of(problem, genomes, objectives, constraints), path)

    @classmethod
    def from_dataframe(cls, problem: Problem, frame: Any, path: str | Path | None = None) -> "Archive":
        """The same of a data frame or CSV file of networks; see `evo_qnas.archive.outside.contents_of_frame`."""
        return cls._saved(contents_of_frame(problem, frame), path)

    @classmethod
    def _saved(cls, contents: Contents, path: str | Path | None) -> "Archive":
        return cls(contents) if path is None else cls(contents).save(path)

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

    def _repr_html_(self) -> str:
        front = self.front
        return front_html(self.header, front.rows, (front.objectives, front.constraints), repr(self))

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
            rows, genomes, *values = self._stored.front
            return self._front(rows, genomes.astype(np.int64), *values)
        return self.chosen(self._trace[0])

    @cached_property
    def history(self) -> History:
        """Evaluations, feasible ones and hypervolume so far, per generation."""
        return self._trace[1] if self._stored is None else self._stored.history

    @cached_property
    def _trace(self) -> Traced:
        """Rows of the front, and the history; known where the file was just written."""
        return self._known_trace or traced(self.evaluations)

    @property
    def asks(self) -> Int[np.ndarray, "e 2"]:
        """(e, 2) int64: what was asked for between which evaluations; empty but of asynchronous searches."""
        return self._contents.asks

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
        return certificate(self.problem, self.front.objectives * self._signs)

    def to_dataframe(self) -> DataFrame:
        """One row per evaluation: generation, seconds, state, objectives, excess over limits, choices in words."""
        rows = self.evaluations
        first = {"generation": rows.generation, "seconds": rows.seconds, "state": rows.state}
        return frame_of(self.header, self.tables, rows.genomes, self.objectives, rows.constraints, **first)

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

    def to_hdf5(self, path: str | Path) -> None:
        """Writes evaluations, tables and problem in chunks, compressed: for many evaluations, and for other programs.

        `Archive.load` reads the file. It has no seal, history or validated networks, and no search goes on from it.

        Raises:
            ArchiveError: the file cannot be written.
        """
        write_compressed(self._whole(), Path(path))

    def _whole(self) -> Contents:
        header = replace(self.header, tables=self.tables)
        return replace(self._contents, header=header, evaluations=self.evaluations)

    def plot(self, kind: str | None = None, *, exact: bool = True) -> Any:
        """A matplotlib figure of the archive, see `evo_qnas.plots.figure`; notebooks show it."""
        return import_module("evo_qnas.plots").figure(self, kind=kind, exact=exact)

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

    def chosen(self, rows: Int[np.ndarray, " n"]) -> Front:
        """Some of the evaluations, as the user reads them."""
        at = self.evaluations.chosen(rows)
        return self._front(rows, at.genomes, at.objectives * self._signs, at.constraints)

    def _front(self, rows: np.ndarray, genomes: np.ndarray, objectives: np.ndarray, constraints: np.ndarray) -> Front:
        return Front(
            rows=rows,
            genomes=genomes,
            objectives=objectives,
            constraints=constraints,
            header=self.header,
            load_tables=self._tables,
        )

    def _tables(self) -> Tables | None:
        return self.tables
