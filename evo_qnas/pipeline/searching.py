"""The search stage: the problem of the tables, and its archive."""

import numpy as np

from evo_qnas.archive import Archive
from evo_qnas.cards import nearest
from evo_qnas.errors import CardError
from evo_qnas.pipeline.workplace import Workplace, seed_of
from evo_qnas.problem import TableProblem
from evo_qnas.search import ALGORITHMS, search
from evo_qnas.tables import Tables

_COLUMNS = ("score", "size_bytes", "macs", "bit_operations")


def problem_of(place: Workplace, tables: Tables) -> TableProblem:
    """The card's objectives and limits over the tables."""
    return TableProblem(tables, objectives=place.card.search.objectives, constraints=place.card.search.constraints)


def check_search(place: Workplace) -> None:
    """Tries objectives, limits and the algorithm's name on tables of the right columns, before anything is trained.

    Raises:
        CardError: there is no such algorithm.
        ProblemError: an objective or limit names nothing, or cannot be read.
    """
    names = [shape.name for shape in place.shapes]
    problem_of(place, Tables.from_arrays({column: [np.zeros(1)] * len(names) for column in _COLUMNS}))
    algorithm = place.card.search.algorithm
    if algorithm not in ALGORITHMS:
        raise CardError(f"search.algorithm = {algorithm!r}: there is none; {nearest(algorithm, list(ALGORITHMS))}")


def make_archive(place: Workplace, problem: TableProblem) -> Archive:
    """`archive.h5`: every evaluation of the search and its front."""
    settings = place.card.search
    return search(
        problem,
        algorithm=settings.algorithm,
        evaluations=settings.evaluations,
        population=settings.population,
        seed=seed_of("search", place.card.seed) % 2**31,
        path=place.folder / "archive.h5",
    )
