"""Where searches start, against a few obvious lines."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas import TableProblem, Tables
from evo_qnas.search.reduction import useful_options
from evo_qnas.search.seeding import _factors, _wrapped, near_optima, seed_genes


def drawn(counts: list[int], m: int, seed: int, constraints: tuple[str, ...] = ()) -> TableProblem:
    """Random sums of `m` objectives."""
    rng = np.random.default_rng(seed)
    columns = {name: [rng.random(count) for count in counts] for name in ("score", "size_bytes", "latency_ms")[:m]}
    return TableProblem(Tables.from_arrays(columns), objectives=list(columns), constraints=list(constraints))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 1000))
def test_near_optima_are_all_mixes_of_the_cheapest_changes(counts: list[int], seed: int) -> None:
    additive = drawn(counts, 3, seed).additive
    assert additive is not None
    weights = np.random.default_rng(seed).random((5, 3)) + 0.01
    wanted = set()
    for weight in weights:
        scores = [values @ weight for values in additive.objectives]
        # A beaten option is never worth a change: another one is cheaper in every sum.
        free = [
            [a for a in range(len(v)) if not any((v[b] <= v[a]).all() and b != a for b in range(len(v)))]
            for v in additive.objectives
        ]
        order = [sorted(options, key=score.__getitem__) for options, score in zip(free, scores, strict=True)]
        best = tuple(options[0] for options in order)
        changes = [
            (scores[gene][options[1]] - scores[gene][options[0]], gene, options[1])
            for gene, options in enumerate(order)
            if len(options) > 1
        ]
        cheapest = sorted(changes)[:4]
        for size in range(len(cheapest) + 1):
            for chosen in combinations(cheapest, size):
                made = list(best)
                for _, gene, option in chosen:
                    made[gene] = option
                wanted.add(tuple(made))
    found = set(map(tuple, near_optima(additive, useful_options(additive.objectives), weights).tolist()))
    assert found == wanted
    near = near_optima(additive, useful_options(additive.objectives), weights)
    for network, weight in zip(near, weights, strict=False):
        cheapest_each = [int((values @ weight).argmin()) for values in additive.objectives]
        assert network.tolist() == cheapest_each


@pytest.mark.parametrize(("m", "more"), [(2, False), (3, True)])
def test_three_objectives_get_more_seeds_than_there_are_optima(m: int, more: bool) -> None:
    problem = drawn([9] * 8, m, seed=1)
    seeds = seed_genes(problem, most=100_000)
    assert len(np.unique(seeds, axis=0)) == len(seeds)
    assert (len(seeds) > 300) == more
    np.testing.assert_array_equal(seeds, seed_genes(problem, most=100_000))
    np.testing.assert_array_equal(seeds[:50], seed_genes(problem, most=50))


def test_gene_values_have_sums_of_their_own() -> None:
    genes = np.stack(np.unravel_index(np.arange(8**5), (8,) * 5), axis=1)
    sums = _wrapped(genes, _factors(np.random.default_rng(0), 5))
    assert len(np.unique(sums)) == len(genes)


def test_seeds_that_meet_the_limits_come_first() -> None:
    problem = drawn([5] * 6, 3, seed=2, constraints=("latency_ms <= 2.5",))
    met = (problem.evaluate(problem.space.decode(seed_genes(problem, most=100_000)))[1] <= 0).all(axis=1)
    assert 0 < met.sum() < len(met)
    assert met[: met.sum()].all()
