"""Genes without beaten options: what is left, and where genes go."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.search.reduction import Reduction, useful_options
from evo_qnas.spaces import Space


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 3), st.integers(0, 10**6))
def test_moved_genes_are_no_worse_and_useful_ones_stay(counts: list[int], m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = Space.from_counts(counts)
    sums = tuple(rng.integers(0, 4, size=(count, m)) * 1.0 for count in counts)
    reduction = Reduction.of(space, sums, useful_options(sums))
    genes = rng.integers(0, space.counts, size=(20, len(counts)))
    before = space.decode(genes)
    after = reduction.space.decode(reduction.moved(genes))
    for index, (values, kept) in enumerate(zip(sums, reduction.kept, strict=True)):
        old, new = before[:, index], after[:, index]
        assert (values[new] <= values[old]).all()
        assert (new[np.isin(old, kept)] == old[np.isin(old, kept)]).all()
        dominated = [(values <= row).all(axis=1) & (values < row).any(axis=1) for row in values[kept]]
        assert not np.any(dominated)


def test_a_gene_without_numbers_stays_whole() -> None:
    sums = (np.array([[np.nan], [np.nan]]), np.array([[2.0], [1.0]]))
    reduction = Reduction.of(Space.from_counts([2, 2]), sums, useful_options(sums))
    assert reduction.space.counts.tolist() == [2, 1]
    assert reduction.moved(np.array([[1, 0]])).tolist() == [[1, 0]]
