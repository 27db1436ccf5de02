"""Capabilities of problems: defaults for those with the abstract members alone, and those of tables."""

import numpy as np
import pytest

from evo_qnas.errors import EvaluationError
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo, Problem, TableProblem, objective
from evo_qnas.search import search
from evo_qnas.spaces import Additive, Space
from evo_qnas.testing import ProblemContract
from tests.problem.made import made_tables


class Bare(Problem):
    """A user's problem with the abstract members alone: the sum of the genome, at most 4."""

    def __init__(self, *, additive: bool = False) -> None:
        self._space = Space.from_counts([3, 3, 3])
        self._sums = additive

    @property
    def space(self) -> Space:
        return self._space

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        return (ObjectiveInfo(name="sum"),)

    @property
    def constraints(self) -> tuple[ConstraintInfo, ...]:
        return (ConstraintInfo(name="sum <= 4"),)

    def evaluate(self, genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        total = genomes.sum(axis=1, keepdims=True).astype(float)
        return total, total - 4.0

    @property
    def additive(self) -> Additive | None:
        steps = (np.arange(3.0)[:, None],) * 3
        return (
            Additive(
                space=self._space,
                objectives=steps,
                offset=np.zeros(1),
                limits=steps,
                bounds=np.array([4.0]),
                limit_names=("sum <= 4",),
            )
            if self._sums
            else None
        )

    @property
    def fingerprint(self) -> str:
        return "bare"


class TestBare(ProblemContract):
    def make_problem(self) -> Problem:
        return Bare()


GENOMES = np.array([[0, 1, 2], [2, 2, 2]])


def test_defaults_of_a_problem_with_the_abstract_members_alone() -> None:
    problem = Bare()
    assert problem.tables is None
    assert not problem.slow
    assert problem.describe() == {}
    assert problem.additive_part is None
    assert problem.additive_limits is None
    assert all(np.isnan(part).all() and part.shape == (2, 1) for part in problem.known(GENOMES))
    (outcome,) = problem.evaluate_iter(GENOMES)
    assert outcome.rows.tolist() == [0, 1]
    assert outcome.objectives.tolist() == [[3.0], [6.0]]
    assert outcome.constraints.tolist() == [[-1.0], [2.0]]
    assert search(problem, algorithm="random", evaluations=27, seed=0).front.objectives.tolist() == [[0.0]]


def test_what_is_additive_is_known() -> None:
    problem = Bare(additive=True)
    known, evaluated = problem.known(GENOMES), problem.evaluate(GENOMES)
    assert [part.tolist() for part in known] == [part.tolist() for part in evaluated]
    assert problem.additive_part is not None


def test_a_user_may_store_tables_and_slow_under_these_names() -> None:
    problem = Bare()
    problem.tables, problem.slow = made_tables(), True
    assert problem.tables is not None
    assert problem.slow


def test_tables_state_all_but_functions() -> None:
    @objective(per_network=True)
    def mine(networks: object) -> float:
        raise AssertionError("not called")

    problem = TableProblem(made_tables(), ["score", mine], ["cost <= 4"])
    assert problem.slow
    assert problem.tables is not None
    objectives, excess = problem.known(np.zeros((1, 3), dtype=np.int64))
    assert np.isfinite(objectives[0]).tolist() == [True, False]
    assert np.isfinite(excess).all()
    part, limits = problem.additive_part, problem.additive_limits
    assert problem.additive is None
    assert part is not None
    assert limits is not None
    assert len(part.offset) == 1
    assert len(limits.offset) == 0
    assert part.limit_names == limits.limit_names == ("cost <= 4",)
    assert [side.number for side in part.limit_sides] == [4.0]


def test_a_wrong_pair_is_one_error() -> None:
    class Wrong(Bare):
        def evaluate(self, genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros((len(genomes), 2)), np.zeros((len(genomes), 1))

    with pytest.raises(EvaluationError, match=r"Wrong\.evaluate must give objectives of shape \(2, 1\), got \(2, 2\)"):
        list(Wrong().evaluate_iter(GENOMES))
