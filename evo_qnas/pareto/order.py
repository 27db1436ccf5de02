"""Orders in which equal numbers keep their places, at the speed of numpy's sort that does not care.

numpy sorts numbers with vector instructions only where equal ones may change places; putting those right afterwards
costs little where they are few.
"""

import numpy as np
from jaxtyping import Float, Int, Integer

# With a larger share of equal ones putting them right costs more than numpy's own stable sort.
_MANY = 0.25


def stable_order(values: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """`numpy.argsort(values, kind="stable")`, of finite values.

    Example:
        >>> stable_order(np.array([2.0, 1.0, 2.0, 1.0])).tolist()
        [1, 3, 0, 2]
    """
    order = np.argsort(values)
    run = _runs(values[order])
    tied = _tied(run)
    if len(tied) > _MANY * len(values):
        return np.argsort(values, kind="stable")
    if len(tied):
        among = order[tied]
        order[tied] = among[np.lexsort((among, run[tied]))]
    return order


def lexical_order(points: Float[np.ndarray, "n m"]) -> Int[np.ndarray, " n"]:
    """By the first coordinate, then the next ones, then the place; of finite values, `numpy.lexsort(points.T[::-1])`.

    Example:
        >>> lexical_order(np.array([[2.0, 1.0], [1.0, 5.0], [2.0, 0.0], [2.0, 1.0]])).tolist()
        [1, 2, 0, 3]
    """
    order = np.argsort(points[:, 0])
    run = _runs(points[order, 0])
    tied = _tied(run)
    if len(tied) > _MANY * len(points):
        return np.lexsort(points.T[::-1])
    if len(tied):
        among = order[tied]
        order[tied] = among[np.lexsort((among, *points[among, :0:-1].T, run[tied]))]
    return order


def first_of_each(keys: Integer[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """The first place of each key, by rising keys: `numpy.unique(keys, return_index=True)[1]`.

    Example:
        >>> first_of_each(np.array([7, 3, 7, 5, 3])).tolist()
        [1, 3, 0]
    """
    order = np.argsort(keys)
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(keys)])
    return np.minimum.reduceat(order, starts) if len(starts) else order


def _runs(ordered: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The number of the run of equal values that each belongs to."""
    run = np.zeros(len(ordered), dtype=np.int64)
    np.cumsum(ordered[1:] != ordered[:-1], out=run[1:])
    return run


def _tied(run: Int[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
    """The places in runs of more than one."""
    same = run[1:] == run[:-1]
    tied = np.zeros(len(run), dtype=bool)
    tied[1:] = same
    tied[:-1] |= same
    return np.flatnonzero(tied)
