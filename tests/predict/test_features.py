"""Features and kernels: what a network is to a predictor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.predict import Features
from evo_qnas.predict.kernels import MENUS, Parts, own, usable
from evo_qnas.problem import space_of
from tests.predict.made import TABLES, networks, of_tables, plain


def test_totals_are_those_of_the_tables() -> None:
    features = Features.of(space_of(TABLES), TABLES, names=["size_bytes", "score"])
    genes = networks(features, 20)
    genomes = features.space.decode(genes)
    wanted = np.stack([TABLES.total(name, genomes) for name in ("size_bytes", "score")], axis=1)
    np.testing.assert_allclose(features.totals(genes), wanted)


def test_score_is_the_first_column_and_tied_blocks_add_up() -> None:
    space = space_of(TABLES, ties=[["block0", "block2"]])
    features = Features.of(space, TABLES)
    genes = networks(features, 10)
    np.testing.assert_allclose(features.totals(genes)[:, 0], TABLES.total("score", space.decode(genes)))


def test_columns_that_are_no_numbers_are_left_out() -> None:
    values = [np.where(np.arange(len(block)) == 1, np.nan, 1.0) for block in TABLES.blocks]
    features = Features.of(space_of(TABLES), TABLES.with_column("half", values))
    assert features.sums == len(TABLES.columns)


def test_logarithms_are_taken_of_sums_that_are_always_positive() -> None:
    """A sum that reaches 0, such as the cost of blocks that may all be left out, has none."""
    free = TABLES.with_column("free", [np.arange(float(len(block))) for block in TABLES.blocks])
    paid = TABLES.with_column("paid", [np.arange(float(len(block))) for block in TABLES.blocks], fixed=1.0)
    for tables, logarithms in ((free, 0), (paid, 1)):
        features = Features.of(space_of(tables), tables, names=["free" if logarithms == 0 else "paid"])
        scaled = features.scaled_totals(np.zeros((1, len(features.space.genes)), dtype=np.int64))
        assert scaled.shape == (1, 1 + logarithms)
        assert np.isfinite(scaled).all()


def test_likeness_tells_near_bits_and_equal_operators_from_others() -> None:
    block, matrix = TABLES.blocks[0], of_tables().likeness[0]
    label = {label: index for index, label in enumerate(block.labels)}
    name, other = block.operators[0], next(o for o in block.operators if o != block.operators[0])
    here = label[name, 8, 8]
    assert matrix[here, here] == 1.0
    assert matrix[here, label[name, 4, 8]] > matrix[here, label[name, 2, 8]] > matrix[here, label[other, 2, 8]]
    np.testing.assert_array_equal(plain().likeness[0], np.eye(3))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), tables=st.booleans())
def test_every_kernel_is_positive_semidefinite_and_own_is_its_diagonal(seed: int, tables: bool) -> None:
    features = of_tables() if tables else plain(4)
    genes = networks(features, 12, seed)
    for weights in usable(MENUS["kernel"], features):
        kernel = Parts.between(features, genes, genes, weights).kernel(weights)
        np.testing.assert_allclose(kernel, kernel.T)
        assert np.linalg.eigvalsh(kernel).min() > -1e-9
        np.testing.assert_allclose(np.diag(kernel), own(features, genes, weights))
        cross = Parts.between(features, genes[:3], genes, weights).kernel(weights)
        np.testing.assert_allclose(cross, kernel[:3])


def test_kernels_of_one_gene_have_no_pairs() -> None:
    features = plain(1)
    genes = np.arange(3)[:, None]
    for weights in usable(MENUS["kernel"], features):
        kernel = Parts.between(features, genes, genes, weights).kernel(weights)
        np.testing.assert_allclose(np.diag(kernel), own(features, genes, weights))


def test_without_tables_no_kernel_of_sums_is_usable() -> None:
    assert all(not {"total", "share"} & set(weights) for weights in usable(MENUS["ridge"], plain()))
    with pytest.raises(ValueError, match="one part at least"):
        Parts.between(plain(), np.zeros((1, 6), dtype=int), np.zeros((1, 6), dtype=int), ())
