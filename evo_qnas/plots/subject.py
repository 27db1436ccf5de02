"""`Subject`: the source of pictures and pages, an archive and the measurements of a run beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive import Archive
from evo_qnas.errors import ArchiveError, PictureError, ProblemError
from evo_qnas.pareto.exact import true_front
from evo_qnas.problem import Problem
from evo_qnas.problem.terms import parse_term
from evo_qnas.summary import read_random, read_summary
from evo_qnas.tables import Tables

# Exact fronts of up to so many genes, by the number of objectives, and of so many points, are cheap enough to draw.
# Chosen, not measured; `benchmarks/exact_fronts.py` times larger ones.
_MOST_EXACT_GENES = {1: 10_000, 2: 100, 3: 10}
_MOST_EXACT_POINTS = 200_000


@final
@dataclass(frozen=True, kw_only=True)
class Subject:
    """An archive with the facts known beside it.

    Attributes:
        name: of the file or run folder.
        archive: the search.
        problem: rebuilt from the archive's tables, or None where that needs a user's functions, never run.
        baselines: by name the objectives `(m,)` in the user's own direction, NaN where they are not known.
        summary: content of the run folder's `summary.json`, or None.
        random: the run's random networks as (predicted score, metric before fine-tuning) rows `(n, 2)`, may be empty.
        folder: the run folder, or None.
    """

    name: str
    archive: Archive
    problem: Problem | None
    baselines: Mapping[str, Float[np.ndarray, " m"]]
    summary: Mapping[str, Any] | None = None
    random: Float[np.ndarray, "n 2"]
    folder: Path | None = None

    @property
    def tables(self) -> Tables | None:
        """The archive's tables, or None where it has none."""
        return self.archive.tables

    @property
    def signs(self) -> Float[np.ndarray, " m"]:
        """(m,) float64: -1 where an objective is maximised, else 1."""
        return np.where([info.maximize for info in self.archive.header.objectives], -1.0, 1.0)

    def exact(self) -> Float[np.ndarray, "n m"] | None:
        """The exact front's objectives in the user's own direction; None where it is not known or not cheap to find."""
        problem = self.problem
        if problem is None or problem.additive is None:
            return None
        if len(problem.space.genes) > _MOST_EXACT_GENES.get(len(problem.objectives), 0):
            return None
        front = true_front(problem, max_points=_MOST_EXACT_POINTS)
        return None if front is None else front.objectives * self.signs

    def validated_genomes(self) -> dict[str, tuple[int, ...]]:
        """Genomes by id of the networks that the run trained and measured.

        Raises:
            PictureError: the run's summary names a network without id or genome.
        """
        genomes = {network.id: network.genome for network in self.archive.validated}
        try:
            for entry in (self.summary or {}).get("networks", ()):
                genomes[str(entry["id"])] = tuple(int(value) for value in entry["genome"])
        except (KeyError, TypeError, ValueError) as error:
            raise PictureError(f"the summary.json of {self.name} lacks what a run writes: {error!r}") from error
        return genomes


def load_subject(path: str | Path) -> Subject:
    """The subject at `path`: an archive file, or a run folder with an `archive.h5`.

    Raises:
        PictureError: there is nothing to draw from at `path`, or a JSON file beside it cannot be read.
        ArchiveError: the archive cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        file = place / "archive.h5"
        if not file.is_file():
            raise PictureError(
                f"{place} holds no archive.h5: give an archive, or a run folder whose search stage has ended"
            )
        return subject_of(Archive.load(file), name=place.resolve().name, folder=place)
    return subject_of(Archive.load(place), name=place.stem)


def subject_of(archive: Archive, *, name: str = "search", folder: Path | None = None) -> Subject:
    """The subject of an archive, with what lies beside it in a run folder."""
    try:
        problem: Problem | None = archive.problem
    except (ArchiveError, ProblemError):
        problem = None
    summary = None if folder is None else read_summary(folder / "summary.json")
    return Subject(
        name=name if summary is None else summary.card,
        archive=archive,
        problem=problem,
        baselines=MappingProxyType(_baselines(archive)),
        summary=None if summary is None else summary.to_dict(),
        random=np.zeros((0, 2)) if folder is None else _random(archive.tables, folder),
        folder=folder,
    )


def _baselines(archive: Archive) -> dict[str, np.ndarray]:
    """Objectives of the tables' named genomes; functions of a user's are not run and leave NaN."""
    tables, header = archive.tables, archive.header
    if tables is None or not tables.baselines:
        return {}
    genomes = np.array(list(tables.baselines.values()), dtype=np.int64)
    values = np.full((len(genomes), len(header.objectives)), np.nan)
    for column, info in enumerate(header.objectives):
        try:
            values[:, column] = parse_term(info.name, tables).values(tables, genomes)
        except ProblemError:
            continue
    return dict(zip(tables.baselines, values, strict=True))


def _random(tables: Tables | None, folder: Path) -> Float[np.ndarray, "n 2"]:
    """Predicted score and measured metric of the random networks of a run."""
    known = read_random(folder / "networks" / "random.json")
    if known is None or not known.genomes or tables is None or "score" not in tables.columns:
        return np.zeros((0, 2))
    genomes, metric = np.array(known.genomes), np.array(known.metric, dtype=np.float64)
    if genomes.shape[1] != len(tables.blocks) or (genomes < 0).any() or (genomes >= tables.choices).any():
        raise PictureError(f"{folder / 'networks' / 'random.json'} does not fit the tables of the archive")
    return np.stack([tables.total("score", genomes), metric], axis=1)


def rows_of(genomes: Int[np.ndarray, "n blocks"], target: tuple[int, ...]) -> Int[np.ndarray, " _"]:
    """Positions of a genome among others; empty where it is not there.

    Example:
        >>> rows_of(np.array([[0, 1], [2, 3]]), (2, 3))
        array([1])
    """
    if len(target) != genomes.shape[1]:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero((genomes == np.array(target)).all(axis=1))
