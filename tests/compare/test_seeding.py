"""Who starts from seeds in a comparison: all, none, or as each has it; and the unseeded yardstick."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as Original
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling

from evo_qnas.compare import compare, summary_text
from evo_qnas.errors import SearchError
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.search.seeded import Seeded
from evo_qnas.tables import Tables
from tests.search.test_ask_tell import Hill


def pymoo() -> NSGA2:
    operators = {"crossover": SBX(repair=RoundingRepair()), "mutation": PM(repair=RoundingRepair())}
    return NSGA2(pop_size=20, sampling=IntegerRandomSampling(), **operators)


@pytest.fixture(scope="module")
def wasteful() -> TableProblem:
    """Half of the choices are beaten in both sums."""
    rng = np.random.default_rng(2)
    cost = [np.concatenate([np.sort(rng.random(6)), 2 + rng.random(6)]) for _ in range(6)]
    score = [np.concatenate([-np.sort(rng.random(6)), 2 + rng.random(6)]) for _ in range(6)]
    return TableProblem(Tables.from_arrays({"score": score, "cost": cost}), ["score", "cost"])


def rows(problem: TableProblem, seeding: str, **more: Any) -> Any:
    kinds = {"named": "nsga2", "pymoo": pymoo(), "own": Hill}
    found = compare(problem, kinds, seeds=1, evaluations=120, seeding=seeding, progress=False, **more)
    assert not found.failures
    return found, found.to_dataframe().set_index("algorithm")


def test_rows_say_who_had_seeds_and_fewer_options(wasteful: TableProblem) -> None:
    found, frame = rows(wasteful, "default")
    assert (frame["seeds"] > 0).to_dict() == {"named": True, "pymoo": False, "own": False, "random-unseeded": False}
    assert frame["options_left_out"].to_dict() == {"named": 36, "pymoo": 0, "own": 0, "random-unseeded": 0}
    text = summary_text(found)
    assert "seeds, fewer options" in text
    assert "plain" in text
    assert "named algorithms do, others do not (--seeding all, none)" in text


def test_all_or_none_have_them(wasteful: TableProblem) -> None:
    every, seeded = rows(wasteful, "all")
    assert (seeded["seeds"] > 0).to_dict() == {"named": True, "pymoo": True, "own": True, "random-unseeded": False}
    assert seeded["options_left_out"].to_dict() == {"named": 36, "pymoo": 36, "own": 36, "random-unseeded": 0}
    assert "all were given both" in summary_text(every)
    none, plain = rows(wasteful, "none")
    assert set(plain["seeds"]) == {0}
    assert set(plain["options_left_out"]) == {0}
    assert "none was given either" in summary_text(none)
    for name in ("pymoo", "own"):
        assert seeded.loc[name, "hypervolume_share"] > plain.loc[name, "hypervolume_share"]
    with pytest.raises(SearchError, match=r"there is no seeding 'some'"):
        rows(wasteful, "some")


def test_the_yardstick_is_measured_and_neither_tested_nor_ranked(wasteful: TableProblem, tmp_path: Path) -> None:
    found = compare(wasteful, ["nsga2", "random"], seeds=2, evaluations=60, path=tmp_path, progress=False)
    assert found.pairs == (("nsga2", "random"),)
    assert len(found.ranks().mean) == 2
    assert set(found.medians()["algorithm"]) == {"nsga2", "random", "random-unseeded"}
    plain = search(wasteful, algorithm="random", evaluations=60, seeding=False, reduce=False, seed=1, progress=False)
    result = found.of("problem", "random-unseeded")[1]
    front = result.run.objectives[result.run.front]
    np.testing.assert_array_equal(front[np.lexsort(front.T[::-1])], plain.front.objectives)
    settings = json.loads((tmp_path / "comparison.json").read_text())["settings"]
    assert (settings["seeding"], settings["baseline"]) == ("default", "random-unseeded")
    again = compare(wasteful, ["nsga2", "random"], seeds=2, evaluations=60, path=tmp_path, progress=False)
    assert all(result.run.reused and result.run.seeds is not None for result in again.results)


def test_there_is_one_yardstick_at_most(wasteful: TableProblem) -> None:
    found = compare(wasteful, "plain=random,seeding=false", seeds=1, evaluations=30, progress=False)
    assert found.baseline is None
    assert compare(wasteful, "nsga2", seeds=1, evaluations=30, baseline=False, progress=False).baseline is None


def test_seeded_searches_resume(wasteful: TableProblem, tmp_path: Path) -> None:
    for name, made in (("pymoo", pymoo), ("own", lambda: Hill), ("partial", lambda: partial(Hill, rate=2))):
        settings: dict[str, Any] = {"population": 20, "progress": False}
        path = tmp_path / f"{name}.h5"
        search(wasteful, algorithm=Seeded(made()), evaluations=60, path=path, **settings)
        parts = search(wasteful, algorithm=Seeded(made()), evaluations=120, path=path, **settings)
        whole = search(wasteful, algorithm=Seeded(made()), evaluations=120, **settings)
        np.testing.assert_array_equal(parts.genomes, whole.genomes)
        assert whole.header.algorithm.endswith("with seeds")


def test_problems_of_pymoo_have_no_seeds_to_give() -> None:
    class Sums(Original):
        def __init__(self) -> None:
            super().__init__(n_var=4, n_obj=2, xl=0, xu=5, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
            out["F"] = np.stack([x.sum(axis=1), (5 - x).sum(axis=1)], axis=1).astype(float)

    found = compare(Sums(), [pymoo(), "nsga2"], seeds=1, evaluations=60, seeding="all", progress=False)
    assert not found.failures
