"""The order in which genes are merged: one after another where the front is exact, in a tree where it is thinned."""

import numpy as np
from jaxtyping import Float

from evo_qnas.pareto.lattice import Lattice
from evo_qnas.pareto.merging import CapacityExceeded, Merger, Node, thinned

# Parts of up to so many points are merged exactly, without an error. `benchmarks/exact_fronts.py` measures the whole.
_EXACT_POINTS = 100_000
# Most sums of one merging; beyond it a larger error is tried instead. Chosen, not measured.
_MOST_SUMS = 1 << 29


def exact_node(merger: Merger, leaves: list[Node], *, most: int) -> Node:
    """All non-dominated sums of some genes, merged one gene after another, the narrow ones first.

    Raises:
        CapacityExceeded: there are more than `most` on the way.
    """
    ordered = sorted(leaves, key=lambda leaf: float(np.prod(np.ptp(leaf.values, axis=1) + 1.0)))
    node = ordered[0]
    for leaf in ordered[1:]:
        node = merger.merge(node, leaf, most=most)
    return node


def close_node(merger: Merger, leaves: list[Node], *, allowed: Float[np.ndarray, " d"], most: int) -> Node:
    """Sums within `allowed` of all sums of some genes, in each dimension; exact where few enough points allow it.

    Errors of two halves add up just as their values do, so each half gets the share of the error that it has of the
    span. Only halves are thinned out, never their sums: that is where an error saves most work.

    Raises:
        CapacityExceeded: there are more than `most` points, or too many sums, within that error.
    """
    try:
        return exact_node(merger, leaves, most=min(most, _EXACT_POINTS))
    except CapacityExceeded:
        if len(leaves) < 2:
            raise
    spans = np.array([np.ptp(leaf.values, axis=1) for leaf in leaves])
    order = np.argsort(spans.prod(axis=1), kind="stable")
    parts = []
    for start in (0, 1):
        rows = order[start::2]
        share = allowed * spans[rows].sum(axis=0) / np.maximum(spans.sum(axis=0), 1e-300)
        # A half that cannot be merged exactly keeps half of its share for thinning itself.
        part = close_node(merger, [leaves[row] for row in rows], allowed=share / 2.0, most=most)
        parts.append(thinned(part, np.maximum(share - part.error, 0.0)))
    if len(parts[0]) * len(parts[1]) > _MOST_SUMS:
        raise CapacityExceeded
    return merger.merge(parts[0], parts[1], most=most)


def cut_dimensions(lattice: Lattice) -> list[int]:
    """Objectives in which a front may be thinned: those without limits, and one less where there are none else.

    A thinned point is a little worse, which would break a limit; one dimension stays exact because cells over the other
    ones keep few enough points.
    """
    limited = {dimension for dimension, _ in lattice.limits}
    free = [index for index in range(lattice.m) if index not in limited]
    return free if len(free) < lattice.m else free[:-1]
