"""Picks among the evaluations of an archive: under a limit, at the knee, different from each other."""

from collections.abc import Sequence

import moocore
import numpy as np
from jaxtyping import Int

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import front_among, signs
from evo_qnas.archive.header import Header
from evo_qnas.archive.preferring import column_of, knee_of, within
from evo_qnas.errors import ArchiveError
from evo_qnas.tables import Tables

# Layers of the non-dominated sorting: the fiftieth is so far from the front that no network of it is a good one.
_MOST_LAYERS = 50


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
