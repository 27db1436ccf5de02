"""The parts of a search that are made before it starts: problem, settings, header."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from evo_qnas.archive import Archive, Header
from evo_qnas.errors import SearchError
from evo_qnas.pareto import require_feasible
from evo_qnas.problem import Problem
from evo_qnas.search.algorithms import name_of
from evo_qnas.search.variation import Recipe, load_recipe


def problem_of(problem: Any) -> Problem:
    """A user's problem as one of ours."""
    if isinstance(problem, Problem):
        return problem
    from evo_qnas.problem import from_pymoo

    return from_pymoo(problem)


def recipe_of(variation: str | Recipe) -> Recipe:
    """The recipe, or the one of that name."""
    return variation if isinstance(variation, Recipe) else load_recipe(variation)


def check_settings(**settings: Any) -> None:
    """Refuses settings that are no whole number, or too small."""
    for name, value in settings.items():
        least = 0 if name == "seed" else 1
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
            raise SearchError(f"{name} must be a whole number of at least {least}, got {value!r}")


def check_limits(problem: Problem) -> None:
    """Refuses additive limits that no network meets before anything is evaluated."""
    additive = problem.additive_part
    if additive is not None and len(additive.bounds):
        require_feasible(additive)


def check_known(problem: Problem, known: Archive) -> str:
    """A digest of known evaluations, after a check that they are of this problem.

    Raises:
        SearchError: they are of other blocks, objectives or limits.
    """
    header = known.header
    for what, mine, theirs in (
        ("blocks", problem.space.blocks, header.blocks),
        ("objectives", problem.objectives, header.objectives),
        ("constraints", problem.constraints, header.constraints),
    ):
        if mine != theirs:
            raise SearchError(f"the known evaluations are of another problem, its {what} differ: {theirs}, here {mine}")
    if header.fingerprint != problem.fingerprint and header.algorithm != "elsewhere":
        raise SearchError("the known evaluations are of another problem: its fingerprint differs")
    rows = known.evaluations
    return hashlib.sha256(b"".join(part.tobytes() for part in rows.parts[:3])).hexdigest()[:16]


def header_of(problem: Problem, algorithm: Any, settings: Mapping[str, Any], seed: int) -> Header:
    """The header of a search's archive."""
    return Header(
        problem=problem.describe(),
        tables=problem.tables,
        blocks=problem.space.blocks,
        objectives=problem.objectives,
        constraints=problem.constraints,
        algorithm=name_of(algorithm),
        settings=settings,
        seed=seed,
        fingerprint=problem.fingerprint,
    )
