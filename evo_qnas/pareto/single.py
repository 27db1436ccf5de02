"""One objective under limits: the smallest sum, by integer programming and checked in whole numbers."""

from dataclasses import replace

import numpy as np
import scipy
from jaxtyping import Float, Int

from evo_qnas.errors import EvoQnasError
from evo_qnas.pareto.filters import minima
from evo_qnas.pareto.lattice import Lattice
from evo_qnas.spaces import Additive

# HiGHS stops at absolute gaps of 1e-6 and allows rows to be missed by 1e-7: with coefficients this large, both are
# about 1e-11 of the span of a sum.
_SCALE = 1e4
# Answers that miss a limit by rounding alone, before the program is given up. Chosen, not measured.
_CUTS = 1000


def smallest_sum(lattice: Lattice, *, objective: int = 0) -> Int[np.ndarray, "one genes"]:
    """Gene values (of the additive problem) of a network with the smallest sum of one objective that meets all limits.

    Without limits each gene takes its best option. With limits HiGHS solves the choice of one option per gene as an
    integer program; its answer is summed again in whole numbers, and one that misses a limit within the solver's
    tolerance is excluded and the program solved again, so that the answer always meets the limits. The gap is closed
    to 1e-10 of the objective's span.

    Returns:
        (1, genes) int64, or (0, genes) where no network meets the limits.

    Source: Huangfu and Hall 2018 (HiGHS), through scipy; the program as in Molchanov et al. 2022 (LANA), with any
    number of limits.
    """
    if not lattice.limits:
        return _named(np.array([part[objective].argmin() for part in lattice.options]), lattice)
    lattice = _reduced(lattice, objective)
    counts = [part.shape[1] for part in lattice.options]
    columns = np.concatenate(lattice.options, axis=1)
    rows, bounds = _limit_rows(lattice)
    costs = _scaled(_centred(columns[objective], counts)[0])
    starts = np.cumsum([0, *counts[:-1]])
    cuts: list[np.ndarray] = []
    while len(cuts) < _CUTS:
        chosen = _solved(costs, counts, rows, bounds, cuts)
        if chosen is None:
            return np.empty((0, len(counts)), dtype=np.int64)
        if all(columns[dimension, chosen].sum() <= bound for dimension, bound in lattice.limits):
            return _named(chosen - starts, lattice)
        cuts.append(chosen)
    raise EvoQnasError(
        f"the integer program gave {_CUTS} answers that miss a limit by rounding: loosen the limits a little"
    )


def relaxed_minimum(additive: Additive, weights: Float[np.ndarray, " m"]) -> float:
    """A number that no network's weighted sum of the objectives is below, limits counted.

    Without limits it is the smallest weighted sum itself; with limits, of the linear relaxation.

    Args:
        additive: the sums.
        weights: (m,) float64, at least 0.
    """
    parts = [np.column_stack([o @ weights, x]) for o, x in zip(additive.objectives, additive.limits, strict=True)]
    parts = [part[np.isfinite(part).all(axis=1)] for part in parts]
    least = float(additive.offset @ weights + sum(part[:, 0].min() for part in parts))
    if not len(additive.bounds):
        return least
    # An option that another one beats in cost and every limit changes neither the relaxation nor its bound.
    parts = [part[minima(part.T)] for part in parts]
    price = _prices(parts, additive.bounds)
    priced = sum(float((part[:, 0] + part[:, 1:] @ price).min()) for part in parts)
    return max(least, float(additive.offset @ weights) + priced - float(price @ additive.bounds))


def _prices(parts: list[Float[np.ndarray, "_ k1"]], bounds: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """The price of each limit's unit in the linear relaxation; zeros where it has no answer.

    Any prices of at least 0 give a true bound, these give the best one, so that the solver's rounding does no harm.
    """
    counts = [len(part) for part in parts]
    together = np.concatenate(parts)
    scale = np.maximum(np.abs(together[:, 1:]).max(axis=0), 1e-300)
    result = scipy.optimize.linprog(
        _centred(together[:, 0], counts)[0],
        A_ub=(together[:, 1:] / scale).T,
        b_ub=bounds / scale,
        A_eq=_one_each(counts).toarray(),
        b_eq=np.ones(len(counts)),
        bounds=(0.0, None),
        method="highs",
    )
    if result.x is None:
        return np.zeros(len(bounds))
    prices: np.ndarray = np.maximum(-result.ineqlin.marginals, 0.0) / scale
    return prices


def _one_each(counts: list[int]) -> "scipy.sparse.csr_array":
    """(genes, n): sums over the options of each gene."""
    n = sum(counts)
    return scipy.sparse.csr_array(
        (np.ones(n), (np.repeat(np.arange(len(counts)), counts), np.arange(n))), shape=(len(counts), n)
    )


def _reduced(lattice: Lattice, objective: int) -> Lattice:
    """The lattice without options that another one beats in the objective and every limit."""
    used = sorted({objective, *(dimension for dimension, _ in lattice.limits)})
    best = [np.sort(minima(part[used])) for part in lattice.options]
    return replace(
        lattice,
        options=tuple(part[:, rows] for part, rows in zip(lattice.options, best, strict=True)),
        kept=tuple(kept[rows] for kept, rows in zip(lattice.kept, best, strict=True)),
    )


def _named(picks: Int[np.ndarray, " genes"], lattice: Lattice) -> Int[np.ndarray, "one genes"]:
    """Options of the lattice as options of the additive problem."""
    return np.array([[kept[pick] for kept, pick in zip(lattice.kept, picks, strict=True)]], dtype=np.int64)


def _centred(column: Float[np.ndarray, " n"], counts: list[int]) -> tuple[Float[np.ndarray, " n"], float]:
    """Each gene's numbers less their smallest, and the sum of these."""
    parts = np.split(column, np.cumsum(counts)[:-1])
    return np.concatenate([part - part.min() for part in parts]), float(sum(part.min() for part in parts))


def _scaled(column: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Numbers from 0 to `_SCALE`."""
    return column * (_SCALE / (column.max() or 1.0))


def _limit_rows(lattice: Lattice) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, " k"]]:
    """One row and bound per limit, scaled."""
    counts = [part.shape[1] for part in lattice.options]
    rows, bounds = [], []
    for dimension, bound in lattice.limits:
        row, least = _centred(np.concatenate([part[dimension] for part in lattice.options]), counts)
        factor = _SCALE / (row.max() or 1.0)
        rows.append(row * factor)
        bounds.append((bound - least) * factor)
    return np.array(rows), np.array(bounds)


def _solved(
    costs: Float[np.ndarray, " n"],
    counts: list[int],
    rows: Float[np.ndarray, "k n"],
    bounds: Float[np.ndarray, " k"],
    cuts: list[np.ndarray],
) -> Int[np.ndarray, " genes"] | None:
    """Columns chosen, one per gene; None where the limits cannot be met."""
    n, genes = len(costs), len(counts)
    constraints = [
        scipy.optimize.LinearConstraint(_one_each(counts), 1.0, 1.0),
        scipy.optimize.LinearConstraint(scipy.sparse.csr_array(rows), -np.inf, bounds),
    ]
    for chosen in cuts:
        row = scipy.sparse.csr_array((np.ones(genes), (np.zeros(genes, dtype=np.int64), chosen)), shape=(1, n))
        constraints.append(scipy.optimize.LinearConstraint(row, -np.inf, genes - 1.0))
    result = scipy.optimize.milp(
        costs,
        integrality=np.ones(n, dtype=np.int64),
        bounds=scipy.optimize.Bounds(0.0, 1.0),
        constraints=constraints,
        options={"mip_rel_gap": 0.0},
    )
    if result.status == 2:
        return None
    if result.x is None:
        raise EvoQnasError(f"the integer program was not solved: {result.message}")
    starts = np.cumsum([0, *counts[:-1]])
    return np.array(
        [start + part.argmax() for start, part in zip(starts, np.split(result.x, np.cumsum(counts)[:-1]), strict=True)]
    )
