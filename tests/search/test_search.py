"""Searches as a whole: budget, replay, failures, limits, seeds, and fronts against brute force."""

import logging
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_qnas.archive import Archive
from evo_qnas.errors import ArchiveError, CardError, EvaluationError, InfeasibleError, SearchError
from evo_qnas.pareto import exact_front, nondominated
from evo_qnas.problem import Networks, TableProblem, objective
from evo_qnas.search import ALGORITHMS, search
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

# The surrogate has tests of its own, with fewer evaluations.
QUICK = [name for name in ALGORITHMS if name not in {"age-moea2", "exact", "surrogate"}]
TABLES = generate_tables(5, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))
BATCH = 40


@objective(name="coupled")
def coupled(networks: Networks) -> np.ndarray:
    """Neighbours with unequal operators cost extra."""
    unequal = (networks.operators[:, 1:] != networks.operators[:, :-1]).sum(axis=1)
    return networks.column("score").sum(axis=1) + 0.1 * unequal


def coupled_problem(**changes: object) -> TableProblem:
    return TableProblem(TABLES, objectives=[coupled, "size_bytes"], **changes)


def same(one: Archive, other: Archive) -> None:
    """Bit-equal but for the clock."""
    for name in ("genomes", "objectives", "constraints", "generation", "state"):
        np.testing.assert_array_equal(getattr(one.evaluations, name), getattr(other.evaluations, name))
    assert dict(one.evaluations.reasons) == dict(other.evaluations.reasons)
    np.testing.assert_array_equal(one.front.rows, other.front.rows)


class Interrupt(BaseException):
    """A kill that no handler of errors may swallow."""


class Killed(TableProblem.__mro__[1]):  # type: ignore[misc,name-defined]
    """A problem that is killed after some evaluations."""

    def __init__(self, inner: TableProblem, after: int) -> None:
        self.inner, self.left = inner, after

    space = property(lambda self: self.inner.space)
    objectives = property(lambda self: self.inner.objectives)
    constraints = property(lambda self: self.inner.constraints)
    additive = property(lambda self: self.inner.additive)
    fingerprint = property(lambda self: self.inner.fingerprint)

    def evaluate(self, genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.left -= len(genomes)
        if self.left < 0:
            raise Interrupt
        return self.inner.evaluate(genomes)


@pytest.mark.parametrize("algorithm", QUICK)
@pytest.mark.parametrize("limited", [False, True])
def test_budget_is_met_exactly_and_every_genome_is_new(algorithm: str, limited: bool) -> None:
    problem = coupled_problem(constraints=["latency_ms <= 6"] if limited else [])
    archive = search(problem, algorithm=algorithm, evaluations=137, population=BATCH, seed=3)
    assert len(archive) == 137
    assert len(np.unique(archive.genomes, axis=0)) == 137
    minimised, excess = problem.evaluate(archive.genomes)
    np.testing.assert_array_equal(archive.evaluations.objectives, minimised)
    fine = np.flatnonzero((excess <= 0).all(axis=1))
    best = fine[nondominated(minimised[fine])]
    assert sorted(archive.front.rows) == sorted(best)


@pytest.mark.parametrize("algorithm", QUICK)
def test_killed_and_resumed_equals_unbroken(algorithm: str, tmp_path: Path) -> None:
    """Replay: the same archive, bit for bit, after a kill at an odd place and after a smaller budget."""
    settings = {"algorithm": algorithm, "population": BATCH, "seed": 5}
    problem = coupled_problem()
    whole = search(Killed(problem, 10**9), evaluations=300, **settings)
    path = tmp_path / "a.h5"
    with pytest.raises(Interrupt):
        search(Killed(problem, 170), evaluations=300, path=path, **settings)
    kept = len(Archive.load(path))
    assert 0 < kept <= 170
    counting = Killed(problem, 10**9)
    resumed = search(counting, evaluations=300, path=path, **settings)
    same(resumed, whole)
    same(Archive.load(path), whole)
    assert 10**9 - counting.left == 300 - kept + 3, "of what was known three are evaluated again, as a check"
    grown = tmp_path / "b.h5"
    search(Killed(problem, 10**9), evaluations=90, path=grown, **settings)
    same(search(Killed(problem, 10**9), evaluations=300, path=grown, **settings), whole)


def test_another_seed_is_another_search_and_is_refused_as_a_resume(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    one = search(coupled_problem(), evaluations=150, population=BATCH, seed=1, path=path)
    two = search(coupled_problem(), evaluations=150, population=BATCH, seed=2)
    assert (one.genomes != two.genomes).any()
    with pytest.raises(ArchiveError, match=r"another search \(seed: 1 before, 2 now"):
        search(coupled_problem(), evaluations=150, population=BATCH, seed=2, path=path)
    same(search(coupled_problem(), evaluations=150, population=BATCH, seed=2, path=path, resume=False), two)


@pytest.mark.parametrize("algorithm", ["nsga2", "random", "local", "nsga3", "spea2"])
def test_a_small_space_is_exhausted(algorithm: str) -> None:
    tables = generate_tables(3, operators=2, weight_bits=(2, 4), activation_bits=(8,))
    problem = TableProblem(tables)
    archive = search(problem, algorithm=algorithm, reduce=False, population=10, evaluations=10_000)
    if algorithm in {"nsga2", "random", "local"}:
        assert len(archive) == 64
        assert archive.extras["ending"] == "exhausted"
    every = np.array(list(product(range(4), repeat=3)))
    values = problem.evaluate(every)[0]
    np.testing.assert_allclose(
        np.unique(archive.evaluations.objectives[archive.front.rows], axis=0),
        np.unique(values[nondominated(values)], axis=0),
    )


def test_reduction_keeps_the_front_and_exact_is_the_front() -> None:
    problem = TableProblem(TABLES, constraints=["latency_ms <= 5"], ties=[["block1", "block3"]])
    truth = exact_front(problem)
    exact = search(problem, algorithm="exact", evaluations=1)
    assert len(exact) == len(truth.genomes)
    np.testing.assert_array_equal(exact.front.genomes, truth.genomes)
    found = search(problem, evaluations=6000, population=BATCH)
    np.testing.assert_array_equal(found.front.objectives, truth.objectives)


def test_one_objective_and_one_network() -> None:
    one = search(TableProblem(TABLES, objectives=["score"], constraints=["size_bytes <= 60000"]), evaluations=2000)
    assert len(one.front) == 1
    assert one.front.objectives[0, 0] == exact_front(one_problem()).objectives[0, 0]
    pinned = {f"block{i}": {"operator": "teacher", "weight_bits": 8, "activation_bits": 8} for i in range(5)}
    alone = search(TableProblem(TABLES, pins=pinned), evaluations=50)
    assert len(alone) == 1
    assert alone.extras["ending"] == "exhausted"


def one_problem() -> TableProblem:
    return TableProblem(TABLES, objectives=["score"], constraints=["size_bytes <= 60000"])


def test_seeds_come_first_and_can_be_turned_off() -> None:
    problem = coupled_problem()
    seeded = search(problem, evaluations=200, population=20)
    baseline = np.array(TABLES.baselines["teacher_int8"])
    assert (seeded.genomes[:20] == baseline).all(axis=1).any()
    plain = search(problem, evaluations=200, population=20, seeding=False)
    assert not (plain.genomes[:20] == baseline).all(axis=1).any()


def test_impossible_additive_limits_answer_before_any_evaluation() -> None:
    for objectives in (["score", "size_bytes"], [coupled, "size_bytes"]):
        with pytest.raises(InfeasibleError, match=r"latency_ms <= 0.001 cannot be met: the smallest reachable is"):
            search(TableProblem(TABLES, objectives=objectives, constraints=["latency_ms <= 0.001"]))


@objective(name="never")
def never(networks: Networks) -> np.ndarray:
    return 1.0 + networks.weight_bits.sum(axis=1)


def test_custom_limits_that_nothing_meets_name_the_least_violating(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        archive = search(TableProblem(TABLES, constraints=[never]), evaluations=400, population=BATCH)
    assert len(archive.front) == 0
    row = archive.extras["least_violating"]
    assert archive.constraints[row, 0] == archive.constraints.min() == 11.0, "five blocks of 2 bits"
    assert "no network met every limit" in caplog.text
    assert f"evaluation {row}" in caplog.text


@objective(name="fragile")
def fragile(networks: Networks) -> np.ndarray:
    if (networks.weight_bits[:, 0] == 4).any():
        raise ValueError("four bits are not for me")
    return networks.column("score").sum(axis=1)


@objective(name="gaps")
def gaps(networks: Networks) -> np.ndarray:
    values = networks.column("score").sum(axis=1) - 1e9
    return np.where(networks.weight_bits[:, 0] == 4, np.nan, values)


@pytest.mark.parametrize("algorithm", QUICK)
@pytest.mark.parametrize("broken", [fragile, gaps])
def test_failed_networks_have_a_reason_and_are_never_on_the_front(algorithm: str, broken: Any) -> None:
    problem = TableProblem(TABLES, objectives=[broken, "size_bytes"])
    archive = search(problem, algorithm=algorithm, evaluations=200, population=BATCH)
    wrong = archive.evaluations.state != 0
    weights = Networks(tables=TABLES, genomes=archive.genomes).weight_bits
    np.testing.assert_array_equal(wrong, weights[:, 0] == 4)
    assert wrong.any()
    assert sorted(archive.evaluations.reasons) == np.flatnonzero(wrong).tolist()
    why = "four bits are not for me" if broken is fragile else "nan"
    assert all(why in reason for reason in archive.evaluations.reasons.values())
    assert not wrong[archive.front.rows].any()
    assert np.isfinite(archive.front.objectives).all()


def test_failures_do_not_drive_nsga2() -> None:
    """NaN would rank first and draw the population to it; guarded, most of the budget goes elsewhere."""
    archive = search(TableProblem(TABLES, objectives=[gaps, "size_bytes"]), evaluations=1000, population=BATCH)
    assert (archive.evaluations.state[500:] != 0).mean() < 0.34, "a third of all networks fail by chance"


@objective(name="short")
def short(networks: Networks) -> np.ndarray:
    return np.zeros(max(0, len(networks) - 1))


@objective(name="always")
def always(networks: Networks) -> np.ndarray:
    raise RuntimeError("no device")


def test_objectives_that_can_never_work_are_one_clear_error() -> None:
    with pytest.raises(EvaluationError, match=r"'short' must give one number per network"):
        search(TableProblem(TABLES, objectives=[short, "size_bytes"]), evaluations=100)
    with pytest.raises(EvaluationError, match=r"not one of \d+ networks could be evaluated: .*no device"):
        search(TableProblem(TABLES, objectives=[always, "size_bytes"]), evaluations=100)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"evaluations": 0}, r"evaluations must be a whole number of at least 1, got 0"),
        ({"population": -3}, r"population must be a whole number of at least 1, got -3"),
        ({"seed": -1}, r"seed must be a whole number of at least 0, got -1"),
        ({"algorithm": "nsga4"}, r"no algorithm 'nsga4'; the nearest are: nsga3, nsga2"),
        ({"algorithm": object()}, r"algorithm must be a name .* or a pymoo Algorithm"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], text: str) -> None:
    with pytest.raises(SearchError, match=text):
        search(TableProblem(TABLES), **settings)


def test_unknown_recipe() -> None:
    with pytest.raises(CardError, match="no card 'none'"):
        search(TableProblem(TABLES), variation="none")


def test_maximised_columns_are_maximised() -> None:
    tables = Tables.from_arrays(
        {"accuracy": [np.array([1.0, 2.0, 3.0])] * 3, "size_bytes": [np.array([1.0, 5.0, 20.0])] * 3},
        directions={"accuracy": "maximize"},
    )
    archive = search(TableProblem(tables, objectives=["accuracy", "size_bytes"]), evaluations=100)
    assert archive.front.objectives[:, 0].max() == 9.0
    assert archive.front.objectives[:, 1].min() == 3.0


def test_population_of_one_and_larger_than_the_space() -> None:
    for population in (1, 2, 3, 5000):
        archive = search(coupled_problem(), evaluations=60, population=population)
        assert len(archive) == 60
