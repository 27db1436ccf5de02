"""The problem of an archive, made again from its tables and its description."""

from evo_qnas.archive.header import Header
from evo_qnas.errors import ArchiveError
from evo_qnas.problem import Problem, TableProblem
from evo_qnas.problem.description import named_functions
from evo_qnas.tables import Tables


def rebuilt_problem(header: Header, tables: Tables | None, name: str, *, trusted: bool) -> Problem:
    """The problem that the header describes.

    Args:
        header: of the archive.
        tables: of the archive, or None.
        name: of the archive, for messages.
        trusted: import the functions that the header names; else a problem with functions is refused.

    Raises:
        ArchiveError: the search was not on tables, or the problem has functions and is not trusted.
        ProblemError: a function cannot be imported any more.
    """
    try:
        functions = [] if trusted else named_functions(header.problem)
    except (TypeError, AttributeError) as error:
        raise ArchiveError(f"{name} describes its problem in a way that cannot be read: {error}") from error
    if functions:
        raise ArchiveError(
            f"the problem of {name} has functions, which are not run from a file unasked "
            f"({', '.join(functions)}): call trusted_problem() where you trust it"
        )
    if tables is None or not header.problem:
        raise ArchiveError(f"{name} does not hold its problem, which was not built on tables: build it again in Python")
    try:
        problem = TableProblem.from_description(tables, header.problem, trusted=trusted)
    except (KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(f"{name} describes its problem in a way that cannot be read: {error}") from error
    if len(problem.objectives) != len(header.objectives) or problem.space.blocks != header.blocks:
        raise ArchiveError(f"{name} describes another problem than the one that its evaluations are of")
    return problem
