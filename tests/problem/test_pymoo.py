"""Pymoo's problems as ours, ours as pymoo's."""

import json
from typing import Any

import numpy as np
import pytest
from pymoo.core.problem import ElementwiseProblem
from pymoo.core.problem import Problem as Original
from pymoo.core.variable import Binary, Choice, Integer, Real
from pymoo.problems import get_problem
from pymoo.problems.single.flowshop_scheduling import create_random_flowshop_problem
from pymoo.problems.single.knapsack import Knapsack
from pymoo.problems.single.traveling_salesman import create_random_tsp_problem

from evo_qnas.errors import EvaluationError, ProblemError
from evo_qnas.problem import Problem, TableProblem, evaluate_batches, from_pymoo, objective, to_pymoo
from evo_qnas.testing import ProblemContract
from tests.problem.made import made_tables


class Mixed(ElementwiseProblem):
    """Variables of all three kinds, one inequality, one equality."""

    def __init__(self, **more: Any) -> None:
        variables = {
            "flag": Binary(),
            "kind": Choice(options=["nothing", "multiply"]),
            "y": Integer(bounds=(-2, 2)),
            **more,
        }
        super().__init__(vars=variables, n_obj=2, n_ieq_constr=1, n_eq_constr=1)

    def _evaluate(self, x: Any, out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        out["F"] = [x["y"] ** 2 + x["flag"], (x["y"] - 2) ** 2 + (x["kind"] == "nothing")]
        out["G"] = x["y"] - 1
        out["H"] = x["y"] * 0.5


class Steps(Original):
    """Integers from -3 to 4 and 10 to 11."""

    def __init__(self) -> None:
        super().__init__(n_var=2, n_obj=2, n_ieq_constr=1, xl=np.array([-3, 10]), xu=np.array([4, 11]), vtype=int)

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        out["F"] = np.stack([x.sum(axis=1), -x[:, 0]], axis=1)
        out["G"] = x[:, 0] - 2


def test_mixed_variables_by_hand() -> None:
    problem = from_pymoo(Mixed())
    assert problem.space.size == 2 * 2 * 5
    assert problem.space.blocks == ("flag", "kind", "y")
    # flag on, kind "nothing", y = -2 + 3 = 1; then flag off, kind "multiply", y = -2
    objectives, excess = problem.evaluate(np.array([[1, 0, 3], [0, 1, 0]]))
    assert objectives.tolist() == [[2.0, 2.0], [4.0, 16.0]]
    np.testing.assert_allclose(excess, [[0.0, 0.5 - 1e-4], [-3.0, 1.0 - 1e-4]])


def test_integer_bounds_by_hand() -> None:
    problem = from_pymoo(Steps())
    assert problem.space.choices.tolist() == [8, 2]
    assert problem.evaluate(np.array([[0, 1], [7, 0]]))[0].tolist() == [[8.0, 3.0], [14.0, -4.0]]


class TestMixed(ProblemContract):
    def make_problem(self) -> Problem:
        return from_pymoo(Mixed())


class TestSteps(ProblemContract):
    def make_problem(self) -> Problem:
        return from_pymoo(Steps())


class TestBits(ProblemContract):
    def make_problem(self) -> Problem:
        return from_pymoo(get_problem("zdt5"), vtype=bool)


class TestKnapsack(ProblemContract):
    def make_problem(self) -> Problem:
        return from_pymoo(Knapsack(4, np.array([3, 1, 2, 4]), np.array([4, 1, 3, 5]), 6))


@pytest.mark.parametrize("problem", [TestMixed, TestSteps, TestBits, TestKnapsack])
def test_variables_and_genomes_are_each_others_inverse(problem: type[ProblemContract]) -> None:
    made: Any = problem().make_problem()
    genomes = made.space.sample(np.random.default_rng(0), 30)
    assert np.array_equal(made.genomes_of(made.variables_of(genomes)), genomes)


def test_floats_are_rounded_and_clipped() -> None:
    made: Any = from_pymoo(Steps())
    assert made.genomes_of(np.array([[-3.4, 11.2], [99.0, 10.4]])).tolist() == [[0, 1], [7, 0]]


@pytest.mark.parametrize(
    ("original", "words"),
    [
        (lambda: "zdt1", "'zdt1' is no pymoo Problem"),
        (lambda: get_problem("zdt1"), r"ZDT1 has float variables.*from_pymoo\(problem, vtype=bool\)"),
        (lambda: Mixed(z=Real(bounds=(0, 1))), "variable 'z' is Real: only Integer, Binary and Choice"),
        (lambda: Mixed(z=Integer(bounds=(0, 10**7))), "variable 'z' must have 1 to 1000000 values"),
    ],
)
def test_other_problems_are_refused(original: Any, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        from_pymoo(original())


def test_unknown_options_are_named() -> None:
    made: Any = from_pymoo(Mixed())
    with pytest.raises(ProblemError, match="variable 'kind' has no option 'divide'"):
        made.genomes_of([{"flag": True, "kind": "divide", "y": 0}])


def test_our_problem_in_pymoo_has_the_same_values() -> None:
    problem = TableProblem(made_tables(3, 5), ["score", "good"], ["cost <= 3"], ties=[["b0", "b4"]])
    exported: Any = problem.to_pymoo()
    assert (exported.n_var, exported.n_obj, exported.n_ieq_constr) == (4, 2, 1)
    genes = np.random.default_rng(0).integers(0, problem.space.counts, size=(15, 4))
    out = exported.evaluate(genes, return_as_dictionary=True)
    genomes = exported.genomes_of(genes)
    objectives, excess = problem.evaluate(genomes)
    assert np.array_equal(out["F"], objectives)
    assert np.array_equal(out["G"], excess)
    assert np.array_equal(exported.variables_of(genomes), genes)


def test_failed_networks_are_infinitely_bad_in_pymoo() -> None:
    problem = TableProblem(made_tables(), [objective(name="mine")(lambda networks: np.full(len(networks), np.nan))])
    assert to_pymoo(problem).evaluate(np.zeros((2, 3), dtype=int)).tolist() == [[np.inf], [np.inf]]


def test_pymoo_problems_go_through_the_guard() -> None:
    (outcome,) = evaluate_batches(from_pymoo(Steps()), np.array([[0, 0], [7, 1]]))
    assert outcome.state.tolist() == [0, 0]


@pytest.mark.parametrize("key", ["F", "G", "H"])
@pytest.mark.parametrize("kind", [Original, ElementwiseProblem])
def test_a_problem_that_forgets_its_values_is_one_sentence(kind: type, key: str) -> None:
    class Forgetful(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__(n_var=2, n_obj=1, n_ieq_constr=1, n_eq_constr=1, xl=0, xu=3, vtype=int)

        def _evaluate(self, X: np.ndarray, out: dict, *args: Any, **kwargs: Any) -> None:
            total = X.sum(axis=-1, keepdims=True).astype(float)
            out |= {name: total for name in "FGH" if name != key}

    with pytest.raises(EvaluationError, match=rf"Forgetful sets no {key}: its _evaluate must set out\['{key}'\]"):
        from_pymoo(Forgetful()).evaluate(np.zeros((3, 2), dtype=np.int64))


@pytest.mark.parametrize("original", [create_random_tsp_problem(5), create_random_flowshop_problem(2, 5)])
def test_permutations_are_refused(original: Any) -> None:
    with pytest.raises(ProblemError, match=r"is one of permutations: only free variables can be searched"):
        from_pymoo(original)


def test_choices_are_described_by_their_values() -> None:
    values = from_pymoo(Mixed()).describe()["values"]
    assert json.loads(json.dumps(values)) == values
    assert ["nothing", "multiply"] in values
    assert {"first": -2, "last": 2} in values
