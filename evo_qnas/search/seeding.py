"""Seeds of a search: known networks, uniform bit-widths, optima of weighted sums, and networks next to them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt64

from evo_qnas.errors import ProblemError
from evo_qnas.pareto import weighted_sum_optima
from evo_qnas.pareto.order import first_of_each
from evo_qnas.problem import Problem
from evo_qnas.search.reduction import all_sums, useful_options
from evo_qnas.spaces import Additive, Gene, Space

# Standard deviation of the logarithms of weights: 95 % of them lie within a factor of 150 of the middle. Chosen, not
# measured.
_SPREAD = 2.5
# Weighted sums of two sums, which lie on a line, and of more, which fill a simplex. `benchmarks/search_speed.py`
# measures the seeds as a whole.
_FEW_WEIGHTS = 512
_MANY_WEIGHTS = 4096
# Changes of each optimum, made in all combinations: 15 near-optima each. Chosen, not measured.
_CHANGES = 4
# So many sums of one gene's options fit the processor's cache.
_AT_ONCE = 512


def seed_genes(
    problem: Problem, *, most: int, useful: Sequence[Int[np.ndarray, " _"]] | None = None
) -> Int[np.ndarray, "s genes"]:
    """Up to `most` distinct gene values to start from: baselines, uniform bits, weighted-sum optima, near-optima.

    Near-optima are for three objectives or more, whose front has more room than there are optima. The sums are the
    problem's own, or those of its additive objectives and limits where others are none; limits take part as further
    sums, so that some optima meet them. Weights are the same in every run. Integers are `Space.narrow`.

    Args:
        problem: any problem.
        most: how many.
        useful: the `useful_options` of all sums of an additive problem, where they are known already.
    """
    space = problem.space
    parts = [_baselines(problem), _uniform_bits(space)]
    additive = problem.additive_part
    if additive is not None:
        parts.append(_optima(additive, most, useful))
    genes = np.concatenate([part.astype(space.narrow, copy=False) for part in parts])
    # Wrapping sums with random factors tell gene values apart; two alike would cost one seed.
    factors = _factors(np.random.default_rng(0), len(space.genes))
    seeds: np.ndarray = genes[np.sort(first_of_each(_wrapped(genes, factors)))[:most]]
    return seeds


def _factors(rng: np.random.Generator, genes: int) -> UInt64[np.ndarray, " genes"]:
    """A random factor for each gene."""
    return rng.integers(0, 2**63, size=genes, dtype=np.uint64)


def _wrapped(genes: Int[np.ndarray, "n genes"], factors: UInt64[np.ndarray, " genes"]) -> UInt64[np.ndarray, " n"]:
    """Sums of gene values times factors, modulo 2^64."""
    sums: np.ndarray = (genes.astype(np.uint64) * factors).sum(axis=1)
    return sums


def _baselines(problem: Problem) -> Int[np.ndarray, "s genes"]:
    """The tables' named networks, as far as ties and pins allow them."""
    found = [np.empty((0, len(problem.space.genes)), dtype=np.int64)]
    if problem.tables is not None:
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
    if not pairs:
        return seeds
    for index, gene in enumerate(space.genes):
        # Options in the order of their operators: the first of the nearest ones is the answer.
        order = np.argsort(gene.operator, kind="stable")
        distance = sum(
            np.abs(bits[order] - np.array([pair[side] for pair in pairs])[:, None])
            for side, bits in enumerate((gene.weight_bits, gene.activation_bits))
        )
        seeds[:, index] = order[np.argmin(distance, axis=1)]
    return seeds


def _pairs(gene: Gene) -> set[tuple[int, int]]:
    """The pairs of weight and activation bits among the options."""
    return set(zip(gene.weight_bits.tolist(), gene.activation_bits.tolist(), strict=True))


def _optima(
    additive: Additive, most: int, useful: Sequence[Int[np.ndarray, " _"]] | None
) -> Int[np.ndarray, "s genes"]:
    """Optima, and for three objectives or more near-optima, of weighted sums of all objectives and limits.

    Each sum is scaled to its range. Those that meet the limits come first, then some that do not; without limits there
    are at most `most` near-optima.
    """
    sums = all_sums(additive)
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
    useful = useful_options(sums) if useful is None else useful
    if m > 2:
        near = near_optima(wide, useful, weights[m:], most=None if len(additive.bounds) else most)
        genes = np.concatenate([weighted_sum_optima(wide, weights[:m]).astype(near.dtype), near])
    else:
        genes = weighted_sum_optima(wide, weights, among=useful)
    if not len(additive.bounds):
        return genes
    excess = additive.sums(genes)[1]
    met = (excess <= 0).all(axis=1)
    return np.concatenate([genes[met], genes[~met][:_FEW_WEIGHTS]])


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


def near_optima(
    additive: Additive,
    useful: Sequence[Int[np.ndarray, " _"]],
    weights: Float[np.ndarray, "w m"],
    *,
    most: int | None = None,
) -> Int[np.ndarray, "s genes"]:
    """Each weighted sum's optimum, then distinct gene values that the cheapest changes of single genes make of it.

    A change takes a gene's second best option. Of each sum the `_CHANGES` changes that lose least are made in
    all combinations, at most `most`: what lies between the optima of neighbouring weights is found among them.
    """
    best, second, loss = _two_best(additive, useful, weights)
    changes = min(_CHANGES, best.shape[1])
    where = np.argpartition(loss, changes - 1, axis=1)[:, :changes]
    masks = (np.arange(1, 2**changes)[:, None] >> np.arange(changes)) & 1
    # Gene values are compared before they are made.
    rng = np.random.default_rng(0)
    factors = _factors(rng, best.shape[1])
    apart = np.take_along_axis((second - best).astype(np.uint64) * factors, where, axis=1)
    keys = _wrapped(best, factors)[:, None] + apart @ masks.T.astype(np.uint64)
    # In random order, so that no weight waits for another.
    first = rng.permutation(first_of_each(keys.ravel()))[:most]
    row, mask = np.divmod(first, len(masks))
    genes = best[row]
    for change in range(changes):
        made = np.flatnonzero(masks[mask, change])
        gene = where[row[made], change]
        genes[made, gene] = second[row[made], gene]
    return np.concatenate([best, genes])


def _two_best(
    additive: Additive, useful: Sequence[Int[np.ndarray, " _"]], weights: Float[np.ndarray, "w m"]
) -> tuple[Int[np.ndarray, "w genes"], Int[np.ndarray, "w genes"], Float[np.ndarray, "w genes"]]:
    """Per weighted sum and gene the best option, the second best, and what it loses (infinity where there is none)."""
    shape = (len(additive.objectives), len(weights))
    best, second = (np.zeros(shape, dtype=additive.space.narrow) for _ in range(2))
    loss = np.full(shape, np.inf)
    order = _like_after_like(weights)
    weights = weights[order]
    for index, (values, options) in enumerate(zip(additive.objectives, useful, strict=True)):
        columns = values[options].T
        for start in range(0, len(weights), _AT_ONCE):
            part = slice(start, min(start + _AT_ONCE, len(weights)))
            scores = weights[part] @ columns
            flat, rows = scores.reshape(-1), np.arange(0, scores.size, len(options))
            first = scores.argmin(axis=1)
            best[index, part] = second[index, part] = options.take(first)
            if len(options) > 1:
                first += rows
                least = flat.take(first)
                flat[first] = np.inf
                other = scores.argmin(axis=1)
                second[index, part] = options.take(other)
                loss[index, part] = flat.take(rows + other) - least
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    best, second, loss = (np.ascontiguousarray(part.take(back, axis=1).T) for part in (best, second, loss))
    return best, second, loss


def _like_after_like(weights: Float[np.ndarray, "w m"]) -> Int[np.ndarray, " w"]:
    """An order of weights in which neighbours have mostly the same optima: to and fro in strips of similar weight.

    A processor finds the least of many sums in two thirds of the time where it lies where the last one lay.
    """
    logits = np.log(np.maximum(weights, np.finfo(np.float64).tiny))
    mean = logits.mean(axis=1)
    across, along = logits[:, 0] - mean, logits[:, -1] - mean
    order = np.argsort(across, kind="stable")
    strip = np.empty_like(order)
    strip[order] = np.arange(len(order)) * round(len(order) ** 0.5) // max(1, len(order))
    snake: np.ndarray = np.lexsort((np.where(strip % 2, -along, along), strip))
    return snake
