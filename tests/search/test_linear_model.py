"""The learnt sums against least squares in a few lines, and what must not disturb them."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas import Space, TableProblem, Tables
from evo_qnas.pareto import exact_front
from evo_qnas.problem import Networks, objective
from evo_qnas.search import search
from evo_qnas.search.linear_model import LinearModel, pair_counts, solved
from evo_qnas.search.sparse_fit import sparse_fit

linear_model = sys.modules[LinearModel.__module__]  # `evo_qnas.search` is the function too


def evaluated(counts: list[int], n: int, seed: int, *, noise: float) -> tuple[Space, np.ndarray, np.ndarray]:
    """Random networks and sums of two objectives, with noise on top."""
    rng = np.random.default_rng(seed)
    space = Space.from_counts(counts)
    genes = rng.integers(0, space.counts, size=(n, len(counts)))
    worth = [rng.normal(size=(count, 2)) for count in counts]
    values = 5.0 + sum(part[genes[:, index]] for index, part in enumerate(worth))
    return space, genes, values + noise * rng.normal(size=values.shape)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 1000), st.sampled_from([0.0, 0.3]))
def test_equals_least_squares_of_one_hot_rows(counts: list[int], seed: int, noise: float) -> None:
    space, genes, values = evaluated(counts, 400, seed, noise=noise)
    model = LinearModel(space)
    model.add(genes, values)
    assert model.additive is not None
    hot = np.concatenate([np.eye(count)[genes[:, index]] for index, count in enumerate(counts)], axis=1)
    wanted = hot @ np.linalg.lstsq(hot, values - values.mean(axis=0), rcond=None)[0] + values.mean(axis=0)
    np.testing.assert_allclose(model.additive.sums(genes)[0], wanted, atol=1e-5)


@pytest.mark.parametrize(("counts", "n"), [([40, 30, 20], 500), ([2] * 30, 500), ([60] * 45, 2500), ([3] * 400, 4000)])
def test_pairs_are_counted_right(counts: list[int], n: int) -> None:
    space, genes, _ = evaluated(counts, n, seed=8, noise=0.0)
    starts = np.concatenate([[0], np.cumsum(space.counts)[:-1]])
    found = pair_counts(genes + starts, sum(counts))
    np.testing.assert_array_equal(found, found.T)
    rng = np.random.default_rng(0)
    for one, other in rng.integers(0, len(counts), size=(20, 2)).tolist():
        a, b = int(rng.integers(counts[one])), int(rng.integers(counts[other]))
        both = int(((genes[:, one] == a) & (genes[:, other] == b)).sum())
        assert found[starts[one] + a, starts[other] + b] == both


def test_sums_without_noise_are_recovered_for_networks_never_told() -> None:
    space, genes, values = evaluated([7, 5, 6, 8], 2000, seed=3, noise=0.0)
    model = LinearModel(space)
    for start in range(0, 1000, 50):
        model.add(genes[start : start + 50], values[start : start + 50])
    assert model.additive is not None
    np.testing.assert_allclose(model.additive.sums(genes[1000:])[0], values[1000:], atol=1e-5)


def test_children_are_the_optima_of_the_sums() -> None:
    space, genes, values = evaluated([4] * 5, 600, seed=4, noise=0.0)
    model = LinearModel(space)
    model.add(genes, values)
    assert model.additive is not None
    children = model.children(np.random.default_rng(0), 500)
    again = model.children(np.random.default_rng(0), 500)
    np.testing.assert_array_equal(children, again)
    worth = model.additive.objectives
    for objective_index in range(2):
        best = [int(part[:, objective_index].argmin()) for part in worth]
        assert (children == best).all(axis=1).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_failed_rows_change_nothing(bad: float) -> None:
    space, genes, values = evaluated([4, 3, 5], 200, seed=5, noise=0.2)
    broken = np.concatenate([values, values[:50]])
    broken[200:, 1] = bad
    clean, mixed = LinearModel(space), LinearModel(space)
    clean.add(genes, values)
    mixed.add(np.concatenate([genes, genes[:50]]), broken)
    assert clean.additive is not None
    assert mixed.additive is not None
    for one, other in zip(clean.additive.objectives, mixed.additive.objectives, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_to_learn_from() -> None:
    model = LinearModel(Space.from_counts([3, 3]))
    model.add(np.zeros((9, 2), dtype=np.int64), np.full((9, 2), np.inf))
    assert model.additive is None
    assert model.children(np.random.default_rng(0), 5).shape == (0, 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 1000), st.floats(1e-3, 10.0))
def test_steps_lead_to_the_ridge_regression(counts: list[int], seed: int, ridge: float) -> None:
    _, genes, values = evaluated(counts, 60, seed, noise=0.5)
    cells = (genes + np.concatenate([[0], np.cumsum(counts)[:-1]])).astype(np.int32)
    values = np.column_stack([values - values.mean(axis=0), np.zeros(60)])
    size = sum(counts)
    hot = np.zeros((60, size))
    np.put_along_axis(hot, cells, 1.0, axis=1)
    expected = np.linalg.solve(hot.T @ hot + ridge * np.eye(size), hot.T @ values)
    start = np.random.default_rng(seed).normal(size=expected.shape)
    found = sparse_fit(cells, values, start, ridge=ridge, steps=500, tolerance=1e-13)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_sums_of_a_large_space_are_learnt() -> None:
    """1,400 options, more than are solved for exactly; the second objective is the same for all networks."""
    space, genes, values = evaluated([70] * 20, 7000, seed=9, noise=0.0)
    values[:, 1] = 3.0
    model = LinearModel(space)
    errors = []
    for start in range(0, 6000, 500):
        model.add(genes[start : start + 500], values[start : start + 500])
        if model.additive is not None:
            errors.append(np.abs(model.additive.sums(genes[6000:])[0] - values[6000:]).mean(axis=0))
    assert errors[0][0] > 0.3 * values[:, 0].std()
    assert errors[-1][0] < 0.01 * values[:, 0].std()
    assert errors[-1][1] == 0.0
    assert len(model.children(np.random.default_rng(0), 5)) >= 5


def test_a_large_space_is_fitted_to_its_newest_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    space, genes, values = evaluated([700, 700], 3000, seed=10, noise=0.0)
    monkeypatch.setattr(linear_model, "_TUNING", replace(linear_model._TUNING, sparse_cells=2 * 2000, first=2.0))
    all_of_them, newest = LinearModel(space), LinearModel(space)
    all_of_them.add(genes, values)
    newest.add(np.concatenate([genes[:800], genes[1000:]]), np.concatenate([-values[:800], values[1000:]]))
    assert all_of_them.additive is not None
    assert newest.additive is not None
    for one, other in zip(all_of_them.additive.objectives, newest.additive.objectives, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_black_box_of_sums_is_found_out() -> None:
    """Nothing but the values tells the search that they are sums: without the model it finds a third of the front."""
    rng = np.random.default_rng(6)
    tables = Tables.from_arrays({name: [rng.random(12) for _ in range(12)] for name in ("score", "size_bytes")})

    @objective(name="hidden")
    def hidden(networks: Networks) -> np.ndarray:
        return networks.column("score").sum(axis=1)

    truth = exact_front(TableProblem(tables, objectives=["score", "size_bytes"])).objectives
    found = search(TableProblem(tables, objectives=[hidden, "size_bytes"]), evaluations=3000, seeding=False).front
    met = (np.abs(truth[:, None] - found.objectives[None]) < 1e-9).all(axis=2).any(axis=1)
    assert met.mean() > 0.5


def test_the_fit_does_not_depend_on_the_order_of_its_arithmetic() -> None:
    """What one gene gains another can lose: only the ridge decides on it, and a plain solver loses digits there."""
    rng = np.random.default_rng(7)
    cells = rng.integers(0, 6, (3000, 10)) + 6 * np.arange(10)
    hot = np.zeros((3000, 60))
    np.put_along_axis(hot, cells, 1.0, axis=1)
    matrix = pair_counts(cells, 60) + 1e-6 * np.eye(60)
    values = hot.T @ (hot @ rng.normal(size=(60, 2)) + 0.1 * rng.normal(size=(3000, 2)))
    order = rng.permutation(60)
    mixed = matrix[np.ix_(order, order)]
    plain = np.linalg.solve(matrix, values)[order] - np.linalg.solve(mixed, values[order])
    refined = solved(matrix, values)[order] - solved(mixed, values[order])
    assert np.abs(plain).max() > 1e-11, "this case shows no difference"
    assert np.abs(refined).max() < 0.02 * np.abs(plain).max()
