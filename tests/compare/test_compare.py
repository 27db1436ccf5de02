"""Comparisons: equal budgets, reuse, resume after a kill, statistics over real runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2

from evo_qnas.compare import Case, Comparison, compare, summary_text
from evo_qnas.compare.statistics import wilcoxon
from evo_qnas.compare.summary import conclusions, seeds_sentence, winners
from evo_qnas.errors import ArchiveError
from evo_qnas.problem import TableProblem, from_pymoo
from evo_qnas.problem.custom import objective
from evo_qnas.tables.generate import generate_tables


def without_seconds(comparison: Comparison) -> pd.DataFrame:
    frame = comparison.to_dataframe()
    return frame[[column for column in frame.columns if not column.startswith("seconds")]]


@pytest.fixture(scope="module")
def small(problem: TableProblem) -> Comparison:
    entries = ["nsga2", "random", "plain=nsga2,seeding=false", "rare=random,seeding=false"]
    return compare(
        {"first": problem, "second": TableProblem(problem.tables, ["score", "latency_ms"])},
        entries,
        seeds=4,
        evaluations=200,
    )


def test_every_run_has_the_same_budget(small: Comparison) -> None:
    frame = small.to_dataframe()
    assert len(frame) == 2 * 4 * 4
    assert set(frame["evaluations"]) == {200}
    assert (frame["hypervolume_share"].between(0.0, 1.0)).all()
    assert (frame["hypervolume"] <= frame["reference_hypervolume"]).all()
    assert frame.groupby("problem")[["ideal", "nadir", "reference_point"]].nunique().eq(1).all(axis=None)
    seeded, plain = (frame[frame["algorithm"] == name]["hypervolume_share"].median() for name in ("nsga2", "rare"))
    assert seeded > plain


def test_dataframe_holds_the_searches_fronts(small: Comparison, problem: TableProblem) -> None:
    from evo_qnas.search import search

    archive = search(problem, algorithm="random", evaluations=200, seed=2, seeding=False)
    result = small.of("first", "rare")[2]
    front = result.run.objectives[result.run.front]
    np.testing.assert_array_equal(front[np.lexsort(front.T[::-1])], archive.front.objectives)


def test_statistics_are_of_the_runs(small: Comparison) -> None:
    table = small.statistics()
    assert len(table) == 2 * 3 * 6
    row = table[(table["first"] == "nsga2") & (table["second"] == "rare") & (table["indicator"] == "epsilon")].iloc[0]
    frame = small.to_dataframe()
    frame = frame[frame["problem"] == "first"]
    first, second = (frame[frame["algorithm"] == name]["epsilon"].to_numpy() for name in ("nsga2", "rare"))
    assert row["p"] == wilcoxon(-first.round(12), -second.round(12))[1]
    assert row["a12"] == 1.0
    assert row["effect"] == "large"
    assert row["median_first"] == pytest.approx(np.median(first))
    # Four seeds can show nothing.
    assert set(table["verdict"]) == {"not shown"}
    assert (table["p_holm"] >= table["p"]).all()


def test_closing_words(small: Comparison) -> None:
    text = summary_text(small)
    for words in (
        "reference point 1",
        "objectives scaled from",
        "first\n200 evaluations",
        "plain",
        "Average ranks over 2",
    ):
        assert words in text
    lines = conclusions(small)
    assert lines[0].startswith(f"Best median hypervolume on 2 of 2: {' = '.join(winners(small, 'first'))}")
    assert lines[-1] == seeds_sentence(4, 6)
    assert "no difference on a single problem can be shown however large it is; 8 seeds would do" in lines[-1]
    assert "can be shown, one that shows in most of them cannot" in seeds_sentence(10, 8, against="nsga2")


def test_against_tests_fewer_pairs(problem: TableProblem) -> None:
    found = compare(problem, ["nsga2", "random", "local"], seeds=1, evaluations=30, against="random")
    assert found.pairs == (("random", "nsga2"), ("random", "local"))
    assert set(found.statistics()["tests"]) == {2}


def test_finished_runs_are_reused(problem: TableProblem, tmp_path: Path) -> None:
    compare(problem, ["nsga2"], seeds=2, evaluations=120, path=tmp_path, baseline=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.h5")}
    assert len(before) == 2
    more = compare(problem, ["nsga2", "random"], seeds=3, evaluations=120, path=tmp_path, baseline=False)
    assert {path: path.read_bytes() for path in before} == before
    reused = {(r.run.entry, r.run.seed) for r in more.results if r.run.reused}
    assert reused == {("nsga2", 0), ("nsga2", 1)}
    anew = compare(problem, ["nsga2", "random"], seeds=3, evaluations=120, baseline=False)
    pd.testing.assert_frame_equal(without_seconds(more), without_seconds(anew))


def test_budget_may_shrink_and_grow(problem: TableProblem, tmp_path: Path) -> None:
    compare(problem, ["nsga2"], seeds=2, evaluations=200, path=tmp_path)
    for budget in (110, 320):
        again = compare(problem, ["nsga2"], seeds=2, evaluations=budget, path=tmp_path)
        anew = compare(problem, ["nsga2"], seeds=2, evaluations=budget)
        pd.testing.assert_frame_equal(without_seconds(again), without_seconds(anew))


def test_other_settings_are_not_taken_for_these(problem: TableProblem, tmp_path: Path) -> None:
    compare(problem, {"a": "nsga2"}, seeds=1, evaluations=60, path=tmp_path)
    with pytest.raises(ArchiveError, match="population: 100 before, 30 now"):
        compare(problem, {"a": {"algorithm": "nsga2", "population": 30}}, seeds=1, evaluations=60, path=tmp_path)


def test_archive_of_another_seed_is_refused(problem: TableProblem, tmp_path: Path) -> None:
    compare(problem, ["random"], seeds=1, evaluations=20, path=tmp_path)
    folder = tmp_path / "runs" / "problem" / "random"
    (folder / "seed-0000.h5").rename(folder / "seed-0001.h5")
    with pytest.raises(ArchiveError, match="seed: 0 before, 1 now"):
        compare(problem, ["random"], seeds=[1], evaluations=20, path=tmp_path)


def test_processes_change_nothing(problem: TableProblem) -> None:
    one, two = (compare(problem, ["nsga2", "random"], seeds=2, evaluations=60, jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(without_seconds(one), without_seconds(two))


_SCRIPT = """
import sys
from evo_qnas.compare import compare
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables
compare(TableProblem(generate_tables(6, operators=3, weight_bits=(4, 8), seed=3)), ["nsga2", "spea2"], seeds=5,
        evaluations=300, path=sys.argv[1], progress=False)
"""


def test_killed_comparison_goes_on(problem: TableProblem, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    child = subprocess.Popen([sys.executable, "-c", _SCRIPT, str(tmp_path)])
    while len(list(runs.rglob("*.h5"))) < 3:
        assert child.poll() is None, "the comparison ended before it could be killed"
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / "results.csv").exists()
    assert len(list(runs.rglob("*.h5"))) < 10
    resumed = compare(problem, ["nsga2", "spea2"], seeds=5, evaluations=300, path=tmp_path)
    assert any(result.run.reused for result in resumed.results)
    anew = compare(problem, ["nsga2", "spea2"], seeds=5, evaluations=300)
    pd.testing.assert_frame_equal(without_seconds(resumed), without_seconds(anew))
    assert summary_text(resumed).split("== ")[0] == summary_text(anew).split("== ")[0]
    pd.testing.assert_frame_equal(resumed.statistics(), anew.statistics())


def test_files_of_a_folder(problem: TableProblem, tmp_path: Path) -> None:
    found = compare(problem, ["nsga2", "random"], seeds=2, evaluations=60, path=tmp_path, command="evo-qnas compare x")
    results = pd.read_csv(tmp_path / "results.csv")
    assert list(results.columns) == list(found.to_dataframe().columns)
    assert results["hypervolume_share"].tolist() == pytest.approx(found.to_dataframe()["hypervolume_share"].tolist())
    assert (tmp_path / "summary.txt").read_text(encoding="utf-8") == summary_text(found) + "\n"
    document = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert document["settings"]["command"] == "evo-qnas compare x"
    assert document["conclusions"] == conclusions(found)
    assert len(document["curves"]) == 2
    front = pd.read_csv(tmp_path / "fronts" / "problem.csv")
    assert list(front.columns) == ["score", "size_bytes"]
    assert len(front) == len(found.references["problem"].points)


def test_algorithm_that_does_not_fit_is_left_out(problem: TableProblem) -> None:
    @objective
    def widest(networks: object) -> np.ndarray:
        return networks.weight_bits.max(axis=1)  # type: ignore[attr-defined, no-any-return]

    custom = TableProblem(problem.tables, ["score", widest])
    found = compare(custom, ["exact", "random", "local"], seeds=2, evaluations=40)
    assert list(found.failures) == [("problem", "exact")]
    assert "exact has no result: " in summary_text(found)
    assert not found.references["problem"].exact
    assert set(found.to_dataframe()["failure"].map(bool)) == {True, False}
    assert set(found.statistics()["first"]) == {"random"}
    assert found.ranks().problems == 0


def test_unpaired_runs_are_tested_as_such(problem: TableProblem) -> None:
    found = compare(problem, ["nsga2", "random"], seeds=6, evaluations=40)
    from dataclasses import replace

    fewer = replace(found, results=tuple(r for r in found.results if not (r.run.entry == "random" and r.run.seed < 2)))
    table = fewer.statistics()
    assert set(table["test"]) == {"Mann-Whitney"}
    assert set(table["runs_second"]) == {4}


def test_no_network_meets_a_custom_limit(problem: TableProblem) -> None:
    @objective
    def never(networks: object) -> np.ndarray:
        return np.ones(len(networks))  # type: ignore[arg-type]

    found = compare(TableProblem(problem.tables, constraints=[never]), ["random"], seeds=1, evaluations=20)
    row = found.to_dataframe().iloc[0]
    assert row["front"] == 0
    assert row["epsilon"] == np.inf
    json.dumps(summary_text(found))


def test_problems_and_algorithms_of_pymoo(problem: TableProblem) -> None:
    from pymoo.core.problem import Problem

    class Counting(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=5, n_obj=2, xl=0, xu=4, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict[str, np.ndarray], *_: object, **__: object) -> None:
            out["F"] = np.column_stack([x.sum(axis=1), ((4 - x) ** 2).sum(axis=1)])

    theirs = compare(Counting(), {"ours": "nsga2", "theirs": NSGA2(pop_size=20)}, seeds=2, evaluations=60)
    assert set(theirs.to_dataframe()["evaluations"]) == {60}
    assert theirs.references["problem"].how == "best known, from 4 runs"
    case = Case(name="mine", problem=from_pymoo(Counting()))
    assert compare(case, "random", seeds=1, evaluations=10).cases[0].name == "mine"


@pytest.mark.slow
def test_two_copies_are_seldom_called_different() -> None:
    """200 comparisons of an algorithm with its copy under another name and with other seeds, 10 seeds each."""
    problem = TableProblem(generate_tables(6, operators=3, weight_bits=(4, 8), seed=3))
    found = compare(problem, {"copy": {"algorithm": "random", "seeding": False}}, seeds=4000, evaluations=40)
    shares = found.values("problem", "copy").reshape(200, 2, 10)
    # The level that ten pairs allow is 0.0488: 9.8 of 200 are expected, and 10 is 5 %.
    assert sum(wilcoxon(first, second)[1] < 0.05 for first, second in shares) <= 10
