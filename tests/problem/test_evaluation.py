"""What a user's code gives is checked: failures keep their reason, wrong forms are one error."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evo_qnas.errors import EvaluationError, ProblemError
from evo_qnas.problem import Networks, Outcome, Problem, TableProblem, evaluate_batches, objective
from tests.problem.made import made_tables


def outcomes(problem: Any, genomes: np.ndarray, **settings: Any) -> dict[int, tuple[Outcome, int]]:
    """Per row its outcome and its place in it."""
    found = {}
    for outcome in evaluate_batches(problem, genomes, **settings):
        found.update({int(row): (outcome, place) for place, row in enumerate(outcome.rows)})
    return found


def problem_of(function: Callable[[Networks], Any], **settings: Any) -> TableProblem:
    made = objective(name="mine", **settings)(function)
    return TableProblem(made_tables(), ["score", made])


GENOMES = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1]])


def picky(networks: Networks) -> np.ndarray:
    if (networks.genomes[:, 0] == 1).any():
        raise ZeroDivisionError("no such network")
    return networks.column("cost").sum(axis=1)


def test_a_raising_function_fails_only_its_networks() -> None:
    found = outcomes(problem_of(picky), GENOMES)
    assert [int(found[row][0].state[found[row][1]]) for row in range(4)] == [0, 1, 0, 1]
    outcome, place = found[1]
    assert outcome.reasons[place] == "objective 'mine' raised ZeroDivisionError: no such network"
    assert np.isnan(outcome.objectives[place]).all()
    whole = TableProblem(made_tables(), ["score", "cost"]).evaluate(GENOMES)[0]
    assert np.array_equal(found[2][0].objectives[found[2][1]], whole[2])


def test_nan_and_infinity_become_failed_rows() -> None:
    given = np.array([1.0, np.nan, -np.inf, 2.0])
    found = outcomes(problem_of(lambda networks: given[: len(networks)]), GENOMES)
    outcome = found[0][0]
    assert outcome.state.tolist() == [0, 1, 1, 0]
    assert dict(outcome.reasons) == {1: "'mine' is nan", 2: "'mine' is -inf"}
    assert np.isnan(outcome.objectives[1:3]).all()
    assert np.isfinite(outcome.objectives[[0, 3]]).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda n: np.zeros(len(n) - 1), r"must give one number per network, shape \(4,\), got \(3,\)"),
        (lambda n: np.zeros((len(n), 1)), r"shape \(4,\), got \(4, 1\)"),
        (lambda n: 1.0, r"shape \(4,\), got \(\)"),
        (lambda n: None, "gave no numbers"),
        (lambda n: ["a"] * len(n), "gave no numbers"),
        (lambda n: np.full(len(n), 1j), "gave no numbers"),
    ],
)
def test_a_wrong_form_is_one_error(given: Callable[[Networks], Any], words: str) -> None:
    with pytest.raises(EvaluationError, match=words):
        list(evaluate_batches(problem_of(given), GENOMES))


def test_integers_and_booleans_are_numbers() -> None:
    found = outcomes(problem_of(lambda n: [True] * len(n)), GENOMES)
    assert found[0][0].objectives[:, 1].tolist() == [1.0] * 4


def test_strict_raises_where_nothing_worked() -> None:
    def broken(networks: Networks) -> np.ndarray:
        raise KeyError("typo")

    assert all(outcome.state[place] == 1 for outcome, place in outcomes(problem_of(broken), GENOMES).values())
    with pytest.raises(
        EvaluationError, match="not one of 4 networks could be evaluated: objective 'mine' raised KeyError"
    ):
        list(evaluate_batches(problem_of(broken), GENOMES, strict=True))


def test_functions_cannot_change_the_genomes() -> None:
    def vandal(networks: Networks) -> np.ndarray:
        networks.genomes[:] = 0
        return np.zeros(len(networks))

    def first(networks: Networks) -> np.ndarray:
        return networks.genomes[:, 0]

    genomes = GENOMES.copy()
    problem = TableProblem(made_tables(), [vandal, first])
    (outcome,) = evaluate_batches(problem, genomes)
    assert np.array_equal(genomes, GENOMES)
    assert outcome.objectives[:, 1].tolist() == GENOMES[:, 0].tolist()
    problem.evaluate(genomes)
    assert np.array_equal(genomes, GENOMES)


def test_own_problems_are_checked_too() -> None:
    class Own(Problem):
        space = TableProblem(made_tables(), ["score"]).space
        objectives = TableProblem(made_tables(), ["score"]).objectives
        constraints = ()
        additive = None
        fingerprint = "own"
        given: Any = None

        def evaluate(self, genomes: np.ndarray) -> Any:
            return self.given

    problem = Own()
    for given, words in [
        (np.zeros((4, 1)), r"must give a pair \(objectives, constraints\), got ndarray"),
        ((np.zeros((3, 1)), np.zeros((4, 0))), r"objectives of shape \(4, 1\), got \(3, 1\)"),
        ((np.zeros((4, 1)), np.zeros((4, 2))), r"constraints of shape \(4, 0\), got \(4, 2\)"),
        ((np.array([["a"]] * 4), np.zeros((4, 0))), "objectives gave no numbers"),
    ]:
        problem.given = given
        with pytest.raises(EvaluationError, match=words):
            list(evaluate_batches(problem, GENOMES))


def slow_cost(networks: Networks) -> float:
    assert len(networks) == 1
    if networks.genomes[0].tolist() == [1, 1, 1]:
        raise RuntimeError("out of memory")
    return float(networks.column("cost").sum())


@pytest.mark.parametrize("jobs", [1, 2])
def test_slow_functions_run_one_network_at_a_time(jobs: int) -> None:
    problem = problem_of(slow_cost, per_network=True)
    found = outcomes(problem, GENOMES, jobs=jobs)
    assert sorted(found) == [0, 1, 2, 3]
    whole = TableProblem(made_tables(), ["score", "cost"]).evaluate(GENOMES)[0]
    for row in range(3):
        outcome, place = found[row]
        assert np.array_equal(outcome.objectives[place], whole[row])
        assert outcome.seconds[place] >= 0
    outcome, place = found[3]
    assert outcome.state[place] == 1
    assert outcome.reasons[place] == "objective 'mine' raised RuntimeError: out of memory"


def test_slow_results_are_kept_and_failures_tried_again() -> None:
    calls: list[list[int]] = []

    def counted(networks: Networks) -> float:
        calls.append(networks.genomes[0].tolist())
        return slow_cost(networks)

    problem = problem_of(counted, per_network=True)
    first = problem.evaluate(GENOMES)
    again = problem.evaluate(GENOMES[::-1])
    assert calls == [*GENOMES.tolist(), [1, 1, 1]]
    assert np.array_equal(first[0], again[0][::-1], equal_nan=True)
    assert np.isnan(first[0][3, 1])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (lambda n: float("nan"), "objective 'mine' is nan"),
        (lambda n: "a", "gave no numbers"),
        (lambda n: np.zeros(2), r"must give one number, got shape \(2,\)"),
    ],
)
def test_slow_functions_that_give_no_number_fail(given: Callable[[Networks], Any], reason: str) -> None:
    outcome, place = outcomes(problem_of(given, per_network=True), GENOMES[:1])[0]
    assert outcome.state[place] == 1
    assert reason.replace("\\", "") in outcome.reasons[place]


def test_a_slow_function_is_stopped_at_its_time_limit() -> None:
    def endless(networks: Networks) -> float:
        while networks.genomes[0, 0] == 1:
            time.sleep(0.01)
        return 1.0

    problem = problem_of(endless, per_network=True, time_limit=0.1)
    found = outcomes(problem, GENOMES[:2])
    assert found[0][0].state.tolist() == [0]
    assert found[1][0].state.tolist() == [2]
    assert found[1][0].reasons[0] == "objective 'mine' took longer than its time limit of 0.1 s"


def test_settings_of_slow_functions_are_checked() -> None:
    with pytest.raises(ProblemError, match="add per_network=True"):
        objective(time_limit=3.0)
    with pytest.raises(ProblemError, match=r"time_limit = -1\.0 must be seconds above 0"):
        objective(per_network=True, time_limit=-1.0)


def test_nothing_to_evaluate_gives_nothing() -> None:
    assert list(evaluate_batches(problem_of(picky), GENOMES[:0], strict=True)) == []


@pytest.mark.parametrize("slow", [False, True])
def test_a_limit_of_booleans_is_met_where_it_is_true(slow: bool) -> None:
    def cheap(networks: Networks) -> Any:
        met = networks.column("cost").sum(axis=1) <= 3.0
        return bool(met[0]) if slow else met

    tables = made_tables()
    problem = TableProblem(tables, ["score"], [objective(per_network=slow)(cheap)])
    genomes = problem.space.sample(np.random.default_rng(0), 30)
    met = TableProblem(tables, ["score"], ["cost <= 3"]).evaluate(genomes)[1] <= 0
    assert 0 < met.sum() < 30
    assert np.array_equal(problem.evaluate(genomes)[1] <= 0, met)
    # As an objective a boolean stays the number that it is.
    assert np.array_equal(TableProblem(tables, [objective(per_network=slow)(cheap)]).evaluate(genomes)[0] == 1, met)


def test_booleans_of_a_problem_of_ones_own_are_met_where_true() -> None:
    table = TableProblem(made_tables(), ["score"], ["cost <= 2"])

    class Own(Problem):
        space, objectives, constraints = table.space, table.objectives, table.constraints
        additive = None
        fingerprint = "own"

        def evaluate(self, genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            objectives, excess = table.evaluate(genomes)
            return objectives, excess <= 0

    genomes = table.space.sample(np.random.default_rng(0), 30)
    found, own = (next(iter(evaluate_batches(each, genomes))).constraints <= 0 for each in (table, Own()))
    assert 0 < found.sum() < 30
    assert np.array_equal(found, own)


def test_what_a_mask_hides_is_a_failed_evaluation() -> None:
    def hidden(networks: Networks) -> Any:
        return np.ma.masked_where(networks.genomes[:, 0] == 1, np.arange(len(networks)))

    outcome = next(iter(evaluate_batches(problem_of(hidden), GENOMES)))
    assert outcome.state.tolist() == [0, 1, 0, 1]
    assert outcome.reasons[1] == "'mine' is nan"


def test_too_large_a_number_is_a_failed_evaluation() -> None:
    given = np.array([1.0, 1e308, -1e308, 4e307])
    outcome = next(iter(evaluate_batches(problem_of(lambda networks: given[: len(networks)]), GENOMES)))
    assert outcome.state.tolist() == [0, 1, 1, 0]
    assert outcome.reasons[1] == "'mine' is 1e+308, too large a number"
