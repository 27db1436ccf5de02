"""Where a search starts: known networks, uniform bit-widths, optima of weighted sums, and networks next to them."""

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.pareto import nondominated, weighted_sum_optima
from evo_qnas.problem import Problem, TableProblem
from evo_qnas.search.seen import Seen
from evo_qnas.spaces import Additive, Gene, Space

_SPREAD = 2.5
_FEW_WEIGHTS = 512
_MANY_WEIGHTS = 4096
_CHANGES = 4
# So many sums of one gene's options fit the processor's cache.
_AT_ONCE = 512


def seed_genes(problem: Problem, *, most: int) -> Int[np.ndarray, "s genes"]:
    """Up to `most` distinct gene values to start from: baselines, uniform bits, weighted-sum optima, near-optima.

    Near-optima are for three objectives or more, whose front has more room than there are optima. The sums are the
    problem's own, or those of its additive objectives and limits where others are none; limits take part as further
    sums, so that some optima meet them. Weights are the same in every run.
    """
    space = problem.space
    parts = [_baselines(problem), _uniform_bits(space)]
    additive = additive_part(problem)
    if additive is not None:
        parts.append(_optima(additive, most))
    return Seen(space).unmet(np.concatenate(parts))[:most]


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


def _optima(additive: Additive, most: int) -> Int[np.ndarray, "s genes"]:
    """Optima, and for three objectives or more near-optima, of weighted sums of all objectives and limits.

    Each sum is scaled to its range. Those that meet the limits come first, then some that do not; without limits there
    are at most `most` near-optima.
    """
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
    if m > 2:
        near = near_optima(wide, useful_options(wide), weights[m:], most=None if len(additive.bounds) else most)
        genes = np.concatenate([weighted_sum_optima(wide, weights[:m]), near])
    else:
        genes = weighted_sum_optima(wide, weights)
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


def useful_options(additive: Additive) -> list[Int[np.ndarray, " _"]]:
    """Per gene the options that no other one beats in every objective; the first where all are no numbers."""
    found = [np.flatnonzero(nondominated(values)) for values in additive.objectives]
    return [options if len(options) else np.zeros(1, dtype=np.int64) for options in found]


def near_optima(
    additive: Additive,
    useful: list[Int[np.ndarray, " _"]],
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
    # Wrapping sums with random factors tell gene values apart before they are made; two alike would cost one seed.
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 2**63, size=best.shape[1], dtype=np.uint64)
    apart = np.take_along_axis((second - best).astype(np.uint64) * factors, where, axis=1)
    keys = (best.astype(np.uint64) * factors).sum(axis=1)[:, None] + apart @ masks.T.astype(np.uint64)
    # In random order, so that no weight waits for another.
    first = rng.permutation(np.unique(keys, return_index=True)[1])[:most]
    row, mask = np.divmod(first, len(masks))
    genes = best[row]
    for change in range(changes):
        made = np.flatnonzero(masks[mask, change])
        gene = where[row[made], change]
        genes[made, gene] = second[row[made], gene]
    return np.concatenate([best, genes])


def _two_best(
    additive: Additive, useful: list[Int[np.ndarray, " _"]], weights: Float[np.ndarray, "w m"]
) -> tuple[Int[np.ndarray, "w genes"], Int[np.ndarray, "w genes"], Float[np.ndarray, "w genes"]]:
    """Per weighted sum and gene the best option, the second best, and what it loses (infinity where there is none)."""
    shape = (len(weights), len(additive.objectives))
    best, second = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    loss = np.full(shape, np.inf)
    for start in range(0, len(weights), _AT_ONCE):
        part = slice(start, min(start + _AT_ONCE, len(weights)))
        rows = np.arange(part.stop - start)
        for index, (values, options) in enumerate(zip(additive.objectives, useful, strict=True)):
            scores = weights[part] @ values[options].T
            first = scores.argmin(axis=1)
            least = scores[rows, first]
            best[part, index] = second[part, index] = options[first]
            if len(options) > 1:
                scores[rows, first] = np.inf
                other = scores.argmin(axis=1)
                second[part, index] = options[other]
                loss[part, index] = scores[rows, other] - least
    return best, second, loss
