"""Problems of the literature: published optima, values by hand, slow twins, and what the draws promise."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.cards import validate
from evo_qnas.compare.case import enumerated_front
from evo_qnas.compare.drawn import CoveringSource, DrawnSource, KnapsackSource, LandscapeSource, QuadraticSource
from evo_qnas.compare.literature import BitProblem, Covering, Knapsacks, Landscape, Quadratic
from evo_qnas.compare.suite import CaseCard
from evo_qnas.errors import CardError
from evo_qnas.testing import ProblemContract

SOURCES: dict[str, DrawnSource] = {
    "knapsack": KnapsackSource(kind="knapsack", items=9, knapsacks=2, seed=1),
    "mubqp": QuadraticSource(kind="mubqp", bits=8, count=3, correlation=-0.2, seed=1),
    "rho-mnk": LandscapeSource(kind="rho-mnk", bits=7, links=2, count=2, seed=1),
    "set-covering": CoveringSource(kind="set-covering", rows=6, columns=9, costs=2, density=0.2, seed=1),
}


def every(bits: int) -> np.ndarray:
    return np.array(list(product(range(2), repeat=bits)), dtype=np.int64)


@pytest.mark.parametrize("kind", SOURCES)
class TestContract(ProblemContract):
    """Each kind is a problem like any other."""

    @pytest.fixture(autouse=True)
    def _kind(self, kind: str) -> None:
        self.kind = kind

    def make_problem(self) -> BitProblem:
        return SOURCES[self.kind].problem()


def test_published_optimum_of_a_knapsack() -> None:
    """Problem P01 of the collection KNAPSACK_01 (Burkardt, Florida State University): capacity 165, optimum 309."""
    made = Knapsacks(
        profits=np.array([[92, 57, 49, 68, 60, 43, 67, 84, 87, 72.0]]),
        weights=np.array([[23, 31, 29, 44, 53, 38, 63, 85, 89, 82.0]]),
        capacities=np.array([165.0]),
    )
    values = made.values(every(10))[:, 0]
    assert values.max() == 309
    assert every(10)[values.argmax()].tolist() == [1, 1, 1, 1, 0, 1, 0, 0, 0, 0]


def test_published_optimum_of_a_quadratic_program() -> None:
    """The example of Glover, Kochenberger & Du 2019, section 2: -11 at (1, 0, 0, 1)."""
    matrix = np.array([[-5, 4, 8, 0], [0, -3, 2, 0], [0, 0, -8, 10], [0, 0, 0, -6.0]])
    values = Quadratic(matrices=-matrix[None]).values(every(4))[:, 0]
    assert values.max() == 11
    assert every(4)[values.argmax()].tolist() == [1, 0, 0, 1]


def test_repair_by_hand() -> None:
    """The ratios' maxima are 1, 4 and 2, so the first item leaves, then the third."""
    made = Knapsacks(
        profits=np.array([[3.0, 4.0, 2.0], [3.0, 1.0, 4.0]]),
        weights=np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]),
        capacities=np.array([3.0, 2.0]),
    )
    assert made.repaired(np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1]])).tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 1]]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 1000))
def test_repair_removes_items_one_after_the_other(items: int, knapsacks: int, seed: int) -> None:
    made = KnapsackSource(kind="knapsack", items=items, knapsacks=knapsacks, seed=seed).instance()
    bits = np.random.default_rng(seed).integers(0, 2, size=(6, items))
    order = np.argsort((made.profits / made.weights).max(axis=0), kind="stable")
    for row, repaired in zip(bits, made.repaired(bits), strict=True):
        left = row.copy()
        for item in order:
            if (made.weights @ left > made.capacities).any():
                left[item] = 0
        np.testing.assert_array_equal(repaired, left)


def test_landscape_by_hand() -> None:
    """Two bits that are linked with each other: (f(x1, x2) + f(x2, x1)) / 2."""
    made = Landscape(links=np.array([[0, 1], [1, 0]]), tables=np.array([[[0.0, 0.1, 0.2, 0.3], [0.4, 0.9, 0.6, 0.7]]]))
    expected = [(0.0 + 0.4) / 2, (0.1 + 0.6) / 2, (0.2 + 0.9) / 2, (0.3 + 0.7) / 2]
    np.testing.assert_allclose(made.values(every(2))[:, 0], expected)


def test_quadratic_forms_bit_by_bit() -> None:
    made = QuadraticSource(kind="mubqp", bits=6, count=2, seed=3).instance()
    for row, values in zip(every(6), made.values(every(6)), strict=True):
        for matrix, value in zip(made.matrices, values, strict=True):
            assert value == sum(matrix[i, j] for i in range(6) for j in range(6) if row[i] and row[j])


def test_covering_by_hand() -> None:
    """Rows 1 and 2 need two of the cheap columns, or the dear one."""
    made = Covering(costs=np.array([[1.0, 1.0, 5.0], [2.0, 2.0, 3.0]]), covers=np.array([[1, 0, 1], [0, 1, 1]]))
    problem = BitProblem(made)
    assert problem.evaluate(every(3))[1][:, 0].tolist() == [2, 0, 1, 0, 1, 0, 0, 0]
    assert enumerated_front(problem).points.tolist() == [[2.0, 4.0], [5.0, 3.0]]


@pytest.mark.parametrize("kind", SOURCES)
def test_equal_cards_give_equal_instances_and_others_do_not(kind: str) -> None:
    source = SOURCES[kind]
    assert source.problem().fingerprint == source.problem().fingerprint
    assert source.problem().fingerprint != source.model_copy(update={"seed": 2}).problem().fingerprint


@pytest.mark.parametrize("correlation", [-0.7, 0.0, 0.5])
def test_correlated_and_uniform(correlation: float) -> None:
    """Of 40,000 numbers: standard errors 0.005 of a correlation and 0.0015 of a mean; the bounds are four of them."""
    source = QuadraticSource(kind="mubqp", bits=1, count=2, correlation=correlation)
    drawn = source.uniform(np.random.default_rng(0), (40_000,))
    assert np.corrcoef(drawn)[0, 1] == pytest.approx(correlation, abs=0.02)
    np.testing.assert_allclose(drawn.mean(axis=1), 0.5, atol=0.006)
    np.testing.assert_allclose(np.quantile(drawn, [0.1, 0.9], axis=1), [[0.1] * 2, [0.9] * 2], atol=0.006)


def test_draws_keep_to_the_definitions() -> None:
    knapsack = KnapsackSource(kind="knapsack", items=400, knapsacks=2).instance()
    for drawn in (knapsack.profits, knapsack.weights):
        assert (drawn.min(), drawn.max()) == (10, 100)
    np.testing.assert_array_equal(knapsack.capacities, knapsack.weights.sum(axis=1) / 2)
    quadratic = QuadraticSource(kind="mubqp", bits=150, count=2, density=0.4).instance().matrices
    assert (quadratic.min(), quadratic.max()) == (-100, 100)
    # The same pairs are left out of all; a fifth of a percent of the others is 0 by chance. Standard error 0.0033.
    assert (quadratic != 0).any(axis=0).mean() == pytest.approx(0.4, abs=0.014)
    links = LandscapeSource(kind="rho-mnk", bits=30, links=5, count=1).instance().links
    assert links[:, 0].tolist() == list(range(30))
    assert all(len(set(row)) == 6 for row in links.tolist())
    covers = CoveringSource(kind="set-covering", rows=30, columns=50, costs=2, density=0.01).instance().covers
    assert covers.sum(axis=1).min() == 2
    assert covers.sum(axis=0).min() == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"kind": "rho-mnk", "bits": 4, "links": 4, "count": 2}, r"a bit cannot be linked with 4 others: .* 4 bits"),
        ({"kind": "mubqp", "bits": 4, "count": 3, "correlation": -0.6}, r"3 objectives cannot all have .* -0\.6"),
        ({"kind": "knapsack", "items": 4, "knapsacks": 2}, r"judged_by names objectives of tables, and knapsack has"),
    ],
)
def test_impossible_cards_are_refused(source: dict[str, object], message: str) -> None:
    card = {"name": "a", "about": "b", "source": source, "judged_by": ["score"], "front": {"by": "runs"}}
    with pytest.raises(CardError, match=message):
        validate(CaseCard, card, "case")
