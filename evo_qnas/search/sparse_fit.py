"""Ridge regression on one option per gene, for spaces whose normal equations are too many to factorise."""

import numpy as np
import scipy
from jaxtyping import Float, Int


def sparse_fit(
    cells: Int[np.ndarray, "n genes"],
    values: Float[np.ndarray, "n m"],
    start: Float[np.ndarray, "size m"],
    *,
    ridge: float,
    steps: int,
    tolerance: float,
) -> Float[np.ndarray, "size m"]:
    """Worths `w` of cells that nearly minimise `|X w - values|^2 + ridge |w|^2`; `X` has a one in each cell of a row.

    Conjugate gradients with the diagonal as preconditioner, all columns of `values` side by side; time and memory grow
    with the number of cells set, not with the square of `size`. Each operation is done in one order, so that the
    result does not depend on the number of threads.

    Args:
        cells: (n, genes) int32, 0 .. size - 1, distinct within a row.
        values: (n, m) float64, what the sums of a row's worths should be, of mean 0.
        start: (size, m) float64, worths to begin with.
        ridge: above 0, in rows: an option counts as if it had been seen so many times more often, with worth 0.
        steps: most steps, at two products with `X` each.
        tolerance: the residual, as a share of that of no worths at all, that ends it earlier.

    Source: Hestenes & Stiefel 1952.

    Example:
        >>> cells = np.array([[0, 2], [0, 3], [1, 2], [1, 3]], dtype=np.int32)
        >>> values = np.array([[-3.0], [-1.0], [1.0], [3.0]])
        >>> sparse_fit(cells, values, np.zeros((4, 1)), ridge=1e-9, steps=10, tolerance=1e-9).round(6).T.tolist()
        [[-2.0, 2.0, -1.0, 1.0]]
    """
    n, genes = cells.shape
    offsets = np.arange(0, cells.size + 1, genes, dtype=np.int64)
    rows = scipy.sparse.csr_array((np.ones(cells.size), cells.ravel(), offsets), shape=(n, len(start)))
    columns = rows.T
    scale = 1.0 / (np.bincount(cells.ravel(), minlength=len(start)) + ridge)[:, None]
    right = columns @ values
    worth = start.copy()
    residual = right - columns @ (rows @ worth) - ridge * worth
    direction = scale * residual
    size = (residual * direction).sum(axis=0)
    enough = tolerance**2 * (right * scale * right).sum(axis=0)
    for _ in range(steps):
        if (size <= enough).all():
            break
        along = columns @ (rows @ direction) + ridge * direction
        step = _ratio(size, (direction * along).sum(axis=0))
        worth += step * direction
        residual -= step * along
        steepest = scale * residual
        size, before = (residual * steepest).sum(axis=0), size
        direction = steepest + _ratio(size, before) * direction
    return worth


def _ratio(above: Float[np.ndarray, " m"], below: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """A quotient, 0 where a column has nothing left to be fitted."""
    quotient: np.ndarray = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return quotient
