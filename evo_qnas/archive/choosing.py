"""Picks among the evaluations of an archive: under a limit, at the knee, different from each other."""

from collections.abc import Sequence

import moocore
import numpy as np
from jaxtyping import Bool, Float, Int

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import front_among, signs
from evo_qnas.archive.header import Header
from evo_qnas.errors import ArchiveError, ProblemError, TableError
from evo_qnas.problem.terms import parse_term
from evo_qnas.spaces import parse_limit
from evo_qnas.tables import Tables

# Layers of the non-dominated sorting: the fiftieth is so far from the front that no network of it is a good one.
_MOST_LAYERS = 50


def column_of(
    header: Header, tables: Tables | None, name: str, genomes: Int[np.ndarray, "n blocks"], outside: np.ndarray
) -> Float[np.ndarray, " n"]:
    """(n,) values of an objective (as the user reads it) or of a column of the tables.

    Raises:
        ArchiveError: there is no such objective or column; the text lists what there is.
    """
    names = [info.name for info in header.objectives]
    if name in names:
        values: np.ndarray = outside[:, names.index(name)]
        return values
    if tables is not None and name in tables.columns:
        return tables.total(name, genomes)
    there = ", ".join(dict.fromkeys([*names, *(tables.columns if tables is not None else ())]))
    raise ArchiveError(f"the archive knows no {name!r}; there are: {there}")


def within(
    header: Header, tables: Tables | None, limit: str, genomes: Int[np.ndarray, "n blocks"], outside: np.ndarray
) -> Bool[np.ndarray, " n"]:
    """(n,) bool: networks that meet a limit such as `size_bytes <= 30000`.

    Raises:
        ArchiveError: the limit cannot be read or names nothing that the archive has.
    """
    try:
        parsed = parse_limit(limit)
        if tables is None or parsed.name in [info.name for info in header.objectives]:
            return parsed.holds(column_of(header, tables, parsed.name, genomes, outside))
        return parsed.holds(parse_term(parsed.name, tables).values(tables, genomes))
    except (ProblemError, TableError) as error:
        raise ArchiveError(str(error)) from error


def selected_rows(
    header: Header, tables: Tables | None, evaluations: Evaluations, limits: Sequence[str], best: str | None
) -> Int[np.ndarray, " n"]:
    """Rows of the front of the feasible networks that meet `limits`; with `best` the one row best in that.

    Raises:
        ArchiveError: a limit cannot be read, a name is unknown, or no evaluated network meets the limits.
    """
    genomes = evaluations.genomes
    outside = evaluations.objectives * signs([info.maximize for info in header.objectives])
    rows = np.flatnonzero(evaluations.feasible)
    for limit in limits:
        rows = rows[within(header, tables, limit, genomes[rows], outside[rows])]
    if not len(rows):
        raise ArchiveError(
            f"none of {len(evaluations)} evaluated networks meets {' and '.join(limits) or 'the limits'}"
        )
    front = front_among(evaluations.objectives, rows)
    if best is None:
        return front
    maximize = {info.name: info.maximize for info in header.objectives}
    pool = front if best in maximize else rows
    values = column_of(header, tables, best, genomes[pool], outside[pool])
    more = maximize[best] if best in maximize else tables is not None and tables.column(best).direction == "maximize"
    return pool[[int((-values if more else values).argmin())]]


def scaled(points: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    """Minimised objectives, each from 0 at its best to 1 at its worst among the points."""
    low = points.min(axis=0)
    span = points.max(axis=0) - low
    values: np.ndarray = (points - low) / np.where(span > 0, span, 1.0)
    return values


def knee_of(points: Float[np.ndarray, "n m"]) -> int:
    """The point farthest below the hyperplane through the extremes of a front: the least sum of scaled objectives.

    Source:
        Das 1999, "On characterizing the knee of the Pareto curve", with the hyperplane at equal scaled objectives.

    Example:
        >>> knee_of(np.array([[0.0, 1.0], [0.2, 0.3], [1.0, 0.0]]))
        1
    """
    return int(scaled(points).sum(axis=1).argmin())


def diverse_rows(
    evaluations: Evaluations, front: Int[np.ndarray, " _"], k: int, share: float
) -> Int[np.ndarray, " chosen"]:
    """At most `k` rows, the knee of the front first, each differing from every other in at least that share of blocks.

    Goes from the front to the next layers of the non-dominated sorting; within a layer the network farthest from those
    chosen comes first.

    Raises:
        ArchiveError: a number is out of range.
    """
    if k < 1 or not 0 <= share <= 1:
        raise ArchiveError(f"diverse needs k >= 1 and a share from 0 to 1, got {k} and {share}")
    start = int(front[knee_of(evaluations.objectives[front])])
    genomes = evaluations.genomes
    need = share * genomes.shape[1]
    rest = np.flatnonzero(evaluations.feasible)
    chosen = [start]
    distance = (genomes[rest] != genomes[start]).sum(axis=1)
    for _ in range(_MOST_LAYERS):
        far = distance >= max(need, 1)
        rest, distance = rest[far], distance[far]
        if len(chosen) >= k or not len(rest):
            break
        layer = moocore.is_nondominated(evaluations.objectives[rest], keep_weakly=True)
        inside, there = rest[layer], distance[layer]
        while len(chosen) < k and len(there) and there.max() >= max(need, 1):
            best = inside[there.argmax()]
            chosen.append(int(best))
            there = np.minimum(there, (genomes[inside] != genomes[best]).sum(axis=1))
            distance = np.minimum(distance, (genomes[rest] != genomes[best]).sum(axis=1))
        rest, distance = rest[~layer], distance[~layer]
    return np.array(chosen[:k], dtype=np.int64)
