"""Surrogate-assisted search: better than without at few evaluations, known objectives left alone, limits as chances."""

from pathlib import Path

import numpy as np
import pytest

from evo_qnas.pareto import hypervolume, nondominated
from evo_qnas.problem import LookupProblem, Networks, TableProblem, nas_bench_macro, objective
from evo_qnas.search import search
from evo_qnas.search.forecast import Known
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(6, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


@objective(name="error")
def error(networks: Networks) -> np.ndarray:
    """Grows with the score, and with unlike neighbours."""
    unlike = (networks.operators[:, 1:] != networks.operators[:, :-1]).sum(axis=1)
    return np.sqrt(networks.column("score").sum(axis=1)) + 0.05 * unlike


@objective(name="too wide")
def too_wide(networks: Networks) -> np.ndarray:
    """Met where activations have 6 bits or fewer on average."""
    return networks.activation_bits.mean(axis=1) - 6.0


def share(problem: TableProblem, evaluations: int, algorithm: str, seed: int) -> float:
    """Hypervolume below the worst of 3,000 random networks, scaled to their range."""
    rng = np.random.default_rng(0)
    values, excess = problem.evaluate(problem.space.sample(rng, 3000))
    values = values[(excess <= 0).all(axis=1)]
    low, high = values.min(axis=0), values.max(axis=0)
    archive = search(problem, algorithm=algorithm, evaluations=evaluations, population=40, seed=seed)
    found = archive.evaluations.objectives[archive.front.rows]
    return hypervolume((found - low) / (high - low), np.ones(values.shape[1]))


@pytest.mark.slow
@pytest.mark.parametrize("limits", [[], ["latency_ms <= 8"], [too_wide]])
def test_few_evaluations_are_better_spent(limits: list) -> None:
    problem = TableProblem(TABLES, objectives=[error, "size_bytes"], constraints=limits)
    assert share(problem, 72, "surrogate", 0) > max(share(problem, 72, name, 0) for name in ("nsga2", "random"))


def test_three_objectives() -> None:
    problem = TableProblem(TABLES, objectives=[error, "size_bytes", "latency_ms"])
    assert share(problem, 48, "surrogate", 0) > share(problem, 48, "random", 0)


def test_what_tables_say_is_known_and_functions_are_not() -> None:
    problem = TableProblem(TABLES, objectives=["size_bytes", error], constraints=["latency_ms <= 8", too_wide])
    known = Known(problem=problem, space=problem.space)
    genes = problem.space.encode(problem.space.sample(np.random.default_rng(0), 5))
    objectives, limits = known.values(genes)
    wanted = problem.evaluate(problem.space.decode(genes))
    np.testing.assert_array_equal(objectives[:, 0], wanted[0][:, 0])
    np.testing.assert_array_equal(limits[:, 0], wanted[1][:, 0])
    assert np.isnan(objectives[:, 1]).all()
    assert np.isnan(limits[:, 1]).all()
    assert known.objectives.tolist() == [True, False]
    assert not known.all_limits


def test_functions_are_called_for_what_is_measured_only() -> None:
    calls = []

    @objective(name="counted")
    def counted(networks: Networks) -> np.ndarray:
        calls.append(len(networks))
        return networks.column("score").max(axis=1)

    problem = TableProblem(TABLES, objectives=[counted, "size_bytes"])
    search(problem, algorithm="surrogate", evaluations=50, population=40)
    assert sum(calls) == 50


def test_limits_that_are_known_are_kept_to() -> None:
    """After the first batch every network meets the limit that the tables tell."""
    problem = TableProblem(TABLES, objectives=[error, "size_bytes"], constraints=["latency_ms <= 5"])
    archive = search(problem, algorithm="surrogate", evaluations=40, population=40, seeding=False)
    later = archive.evaluations.generation > 0
    assert (archive.constraints[later] <= 0).all()


def test_a_small_black_box_is_exhausted_and_holes_are_survived() -> None:
    """One network in five was not measured; all others are met, and nothing is asked for twice."""
    genomes = np.stack(np.unravel_index(np.arange(81), (3, 3, 3, 3)), axis=1)
    rng = np.random.default_rng(0)
    there = np.concatenate([[0], 1 + np.flatnonzero(rng.random(80) < 0.8)])
    columns = {"error": rng.random(len(there)), "params": genomes[there].sum(axis=1).astype(float)}
    problem = LookupProblem(genomes[there], columns)
    archive = search(problem, algorithm="surrogate", evaluations=200, population=40)
    assert len(archive) == 81
    assert archive.extras["ending"] == "exhausted"
    assert (archive.evaluations.state == 0).sum() == len(there)


def test_killed_and_resumed_equals_unbroken(tmp_path: Path) -> None:
    """Replay: the same evaluations after a kill, and after a smaller budget."""
    left = [30]

    @objective(name="mortal")
    def mortal(networks: Networks) -> np.ndarray:
        left[0] -= len(networks)
        if left[0] < 0:
            raise KeyboardInterrupt
        return networks.column("score").max(axis=1)

    problem = TableProblem(TABLES, objectives=[mortal, "size_bytes"])
    settings = {"algorithm": "surrogate", "population": 40, "seed": 5}
    with pytest.raises(KeyboardInterrupt):
        search(problem, evaluations=40, path=tmp_path / "a.h5", **settings)
    left[0] = 10**6
    search(problem, evaluations=28, path=tmp_path / "a.h5", **settings)
    resumed = search(problem, evaluations=40, path=tmp_path / "a.h5", **settings)
    whole = search(problem, evaluations=40, **settings)
    np.testing.assert_array_equal(resumed.genomes, whole.genomes)
    np.testing.assert_array_equal(resumed.objectives, whole.objectives)


def test_one_objective_and_one_network() -> None:
    archive = search(TableProblem(TABLES, objectives=[error]), algorithm="surrogate", evaluations=32, population=40)
    assert len(archive.front) == 1
    pinned = {name: {"operator": "teacher", "weight_bits": 8, "activation_bits": 8} for name in TABLES.names}
    single = search(TableProblem(TABLES, objectives=[error, "size_bytes"], pins=pinned), algorithm="surrogate")
    assert len(single) == 1


@pytest.mark.slow
def test_front_of_macro_within_400(real_data: Path) -> None:
    """At least 30 of the 39 true front points, where NSGA-II finds about 27 and random search 2."""
    problem = nas_bench_macro(real_data / "nas_bench_macro_cifar10.npz")
    every = np.stack(np.unravel_index(np.arange(3**8), (3,) * 8), axis=1)
    values = problem.evaluate(every)[0]
    front = np.unique(values[nondominated(values)], axis=0)
    found = search(problem, algorithm="surrogate", evaluations=400, seed=0).evaluations.objectives
    assert len(front) == 39
    assert sum(bool((found == point).all(axis=1).any()) for point in front) >= 30
