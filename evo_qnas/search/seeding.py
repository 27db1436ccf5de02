"""Where a search starts: known networks, uniform bit-widths, and optima of weighted sums."""

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.pareto import weighted_sum_optima
from evo_qnas.problem import Problem, TableProblem
from evo_qnas.spaces import Additive, Gene, Space

_SPREAD = 2.5
_FEW_WEIGHTS = 512
_MANY_WEIGHTS = 4096


def seed_genes(problem: Problem, *, most: int) -> Int[np.ndarray, "s genes"]:
    """Up to `most` distinct gene values to start from: baselines, uniform bits, weighted-sum optima.

    The sums are the problem's own, or those of its additive objectives and limits where others are none; limits take
    part as further sums, so that some optima meet them. Weights are the same in every run.
    """
    space = problem.space
    parts = [_baselines(problem), _uniform_bits(space)]
    additive = additive_part(problem)
    if additive is not None:
        parts.append(_optima(additive))
    seeds = np.concatenate(parts)
    first = np.sort(np.unique(seeds, axis=0, return_index=True)[1])
    return seeds[first][:most]


def additive_part(problem: Problem) -> Additive | None:
    """The problem as sums, or the part of a table problem that is, or None."""
    if problem.additive is None and isinstance(problem, TableProblem):
        return problem.additive_part
    return problem.additive


def _baselines(problem: Problem) -> Int[np.ndarray, "s genes"]:
    """The tables' named networks, as far as ties and pins allow them."""
    found = [np.empty((0, len(problem.space.genes)), dtype=np.int64)]
    if isinstance(problem, TableProblem):
        # By name: tables in memory and the same tables from a file may hold them in another order.
        for _, genome in sorted(problem.tables.baselines.items()):
            try:
                found.append(problem.space.encode(np.array([genome], dtype=np.int64)))
            except ProblemError:
                continue
    return np.concatenate(found)


def _uniform_bits(space: Space) -> Int[np.ndarray, "s genes"]:
    """Per pair of bit-widths the network whose genes all come nearest to it, with the first operator that can."""
    pairs = sorted({pair for gene in space.genes for pair in _pairs(gene)} - {(0, 0)})
    seeds = np.zeros((len(pairs), len(space.genes)), dtype=np.int64)
    for row, (weight, activation) in enumerate(pairs):
        for index, gene in enumerate(space.genes):
            distance = np.abs(gene.weight_bits - weight) + np.abs(gene.activation_bits - activation)
            seeds[row, index] = np.lexsort((gene.operator, distance))[0]
    return seeds


def _pairs(gene: Gene) -> set[tuple[int, int]]:
    """The pairs of weight and activation bits among the options."""
    return set(zip(gene.weight_bits.tolist(), gene.activation_bits.tolist(), strict=True))


def _optima(additive: Additive) -> Int[np.ndarray, "s genes"]:
    """Optima of weighted sums of all objectives and limits, each scaled to the range of its sum."""
    sums = tuple(
        np.concatenate([objectives, limits], axis=1)
        for objectives, limits in zip(additive.objectives, additive.limits, strict=True)
    )
    m = len(additive.offset)
    span = np.zeros(sums[0].shape[1])
    for values in sums:
        usable = np.where(np.isfinite(values), values, np.nan)
        span += np.nan_to_num(np.nanmax(usable, axis=0) - np.nanmin(usable, axis=0))
    weights = _weights(m, len(span)) / np.where(span > 0, span, 1.0)
    wide = Additive(
        space=additive.space,
        objectives=sums,
        offset=np.zeros(len(span)),
        limits=tuple(np.zeros((len(values), 0)) for values in sums),
        bounds=np.zeros(0),
        limit_names=(),
    )
    genes = weighted_sum_optima(wide, weights)
    excess = additive.sums(genes)[1]
    met = (excess <= 0).all(axis=1)
    return np.concatenate([genes[met], genes[~met]])


def _weights(m: int, sums: int) -> Float[np.ndarray, "w sums"]:
    """Each objective alone, then weights whose logarithms are spread evenly (two sums) or at random (more)."""
    corners = np.eye(sums)[:m]
    if sums == 1:
        return corners
    if sums == 2:
        logits = np.linspace(-3.0 * _SPREAD, 3.0 * _SPREAD, _FEW_WEIGHTS)[:, None] * np.array([0.5, -0.5])
    else:
        logits = _SPREAD * np.random.default_rng(0).standard_normal((_MANY_WEIGHTS, sums))
    weights = np.exp(logits)
    return np.concatenate([corners, weights / weights.sum(axis=1, keepdims=True)])
