"""Networks of a front that are worth validating."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from evo_qnas.spaces import network_id
from evo_qnas.tables import Tables

BASELINE = "teacher_int8"
LEAST_PICKS = 5  # fewer points say little about a front of metric and size


def pick(
    tables: Tables,
    genomes: Int[np.ndarray, "n blocks"],
    shares: Sequence[float],
    *,
    column: str = "size_bytes",
    score: str = "score",
    least: int = LEAST_PICKS,
) -> dict[str, tuple[int, ...]]:
    """Networks of a front to validate, by id: the INT8 teacher first, then from large to small.

    For each share the network with the best score among those that take at most this share of the INT8 teacher's size
    (where there is no such baseline: of the front's largest network); where these are fewer than `least`, front members
    in the widest gaps of size are added.

    Args:
        tables: with the columns `score` and `column` name.
        genomes: the front.
        shares: 0..1.
        column: what is shared, `size_bytes` or another cost such as `latency_ms`.
        score: the column by which networks are better.
        least: fewest networks besides the INT8 teacher.
    """
    picks: dict[str, tuple[int, ...]] = {}
    if BASELINE in tables.baselines:
        picks[BASELINE] = tables.baselines[BASELINE]
    if not len(genomes):
        return picks
    worth, size = tables.total(score, genomes), tables.total(column, genomes)
    whole = size.max()
    if BASELINE in tables.baselines:
        whole = tables.total(column, np.array([tables.baselines[BASELINE]]))[0]
    chosen: list[int] = []
    for share in sorted(shares, reverse=True):
        fitting = np.flatnonzero(size <= share * whole)
        if len(fitting):
            chosen.append(int(fitting[worth[fitting].argmin()]))
    chosen = list(dict.fromkeys(chosen))
    order = np.argsort(size, kind="stable")
    while len(chosen) < min(least, len(order)):
        rest = [int(index) for index in order if index not in chosen]
        gaps = [min((abs(size[index] - size[other]) for other in chosen), default=size[index]) for index in rest]
        chosen.append(rest[int(np.argmax(gaps))])
    for index in sorted(chosen, key=lambda i: -size[i]):
        picks[network_id(genomes[index].tolist())] = tuple(int(value) for value in genomes[index])
    return picks
