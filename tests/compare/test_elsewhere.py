"""Results made elsewhere in a comparison; target runtimes; IOHanalyzer's files."""

import json
from pathlib import Path

import numpy as np
import pytest

import evo_qnas as eq
from evo_qnas.archive import Archive
from evo_qnas.compare import Elsewhere, compare, runtimes, to_iohanalyzer
from evo_qnas.compare.runtimes import TARGET_GAPS, solved_targets
from evo_qnas.errors import SearchError
from evo_qnas.plots.compare import plot_comparison
from evo_qnas.problem import TableProblem
from evo_qnas.search import search


def archives(problem: TableProblem, algorithm: str, seeds: int = 2) -> list[Archive]:
    return [
        search(problem, algorithm=algorithm, evaluations=80, seed=seed, seeding=False, reduce=False, progress=False)
        for seed in range(seeds)
    ]


def test_archives_and_arrays_rank_as_the_searches_that_made_them(problem: TableProblem) -> None:
    made = archives(problem, "nsga2")
    arrays = [archive.objectives for archive in archives(problem, "local")]
    kinds = {"archives": made, "arrays": arrays, "one": arrays[0]}
    searched = {name: {"algorithm": name, "seeding": False, "reduce": False} for name in ("nsga2", "local")}
    found = compare(problem, kinds, seeds=2, evaluations=80, progress=False)
    anew = compare(problem, searched, seeds=2, evaluations=80, progress=False)
    for name, other in (("archives", "nsga2"), ("arrays", "local")):
        np.testing.assert_array_equal(found.values("problem", name), anew.values("problem", other))
    assert len(found.of("problem", "one")) == 1
    assert found.baseline is None
    mixed = compare(problem, {"old": made, "random": "random"}, seeds=3, evaluations=60, progress=False)
    assert [len(mixed.of("problem", name)) for name in ("old", "random", "random-unseeded")] == [2, 3, 3]
    np.testing.assert_array_equal(
        mixed.of("problem", "old")[0].run.objectives, found_first(made[0], 60), "the budget holds for them too"
    )


def found_first(archive: Archive, evaluations: int) -> np.ndarray:
    """Rows that no earlier one beats."""
    values = archive.objectives[:evaluations]
    better = [not ((values[:at] <= row).all(axis=1)).any() for at, row in enumerate(values)]
    return values[better]


def test_without_a_problem() -> None:
    rng = np.random.default_rng(0)
    good, bad = [rng.random((50, 2)) for _ in range(4)], [0.5 + rng.random((50, 2)) for _ in range(4)]
    found = eq.compare({"good": good, "bad": bad}, evaluations=50, progress=False)
    assert found.seeds == (0, 1, 2, 3)
    medians = found.medians().set_index("algorithm")["hypervolume_share"]
    assert medians["good"] > medians["bad"]
    one = eq.compare({"a": [[0.0, 1.0], [1.0, 0.0]], "b": [[1.0, 1.0], [np.nan, 0.0]]}, evaluations=2, progress=False)
    assert one.medians()["exact_points_found"].tolist() == [None, None]
    assert found.cases[0].problem.objectives[0].name == "f1"


def test_results_of_other_objectives_are_refused(problem: TableProblem) -> None:
    other = search(TableProblem(problem.tables, ["score", "latency_ms"]), evaluations=20, progress=False)
    with pytest.raises(SearchError, match=r"an archive made elsewhere is of other objectives: score, latency_ms"):
        compare(problem, {"other": other}, seeds=1, evaluations=20, progress=False)
    with pytest.raises(SearchError, match=r"have 3 objectives, the problem 2"):
        compare(problem, {"other": np.zeros((4, 3))}, seeds=1, evaluations=20, progress=False)
    for results in ([1, 2], [other, 1], [np.zeros((4, 2)), np.zeros(4)], []):
        with pytest.raises(SearchError, match=r"must be archives or matrices of objectives"):
            Elsewhere(results)


def test_runtimes_are_shares_of_targets(problem: TableProblem) -> None:
    curves = np.array([[0.0, 0.5, 1.0], [0.0, 0.0, 0.99]])
    by_hand = [
        np.mean([[share >= 1 - gap - 1e-12 for gap in TARGET_GAPS] for share in column])
        for column in np.maximum.accumulate(curves, axis=1).T
    ]
    np.testing.assert_allclose(solved_targets(curves), by_hand)
    found = compare(problem, ["nsga2", "random"], seeds=2, evaluations=60, progress=False)
    frame = runtimes(found)
    assert set(frame["algorithm"]) == {"nsga2", "random", "random-unseeded"}
    for _, here in frame.groupby("algorithm"):
        assert here["solved"].is_monotonic_increasing
        assert here["budget_share"].iloc[-1] == 1.0
    assert runtimes(found, "problem")["evaluations"].max() == 60


def test_files_of_iohanalyzer(problem: TableProblem, tmp_path: Path) -> None:
    found = compare({"a b": problem}, ["nsga2", "random"], seeds=2, evaluations=60, path=tmp_path, progress=False)
    folders = to_iohanalyzer(found, tmp_path / "ioh")
    assert [folder.name for folder in folders] == ["nsga2", "random", "random-unseeded"]
    document = json.loads((folders[0] / "IOHprofiler_f1_a_b.json").read_text())
    assert document["algorithm"]["name"] == "nsga2"
    assert document["maximization"] is True
    (scenario,) = document["scenarios"]
    assert scenario["dimension"] == len(problem.space.blocks)
    assert [run["instance"] for run in scenario["runs"]] == [1, 2]
    lines = (folders[0] / scenario["path"]).read_text().splitlines()
    assert lines.count("evaluations raw_y") == 2
    last = lines[lines.index("evaluations raw_y", 1) - 1].split()
    assert (int(last[0]), float(last[1])) == (60, pytest.approx(scenario["runs"][0]["best"]["y"]))
    # iohinspector and IOHanalyzer tell runs apart by the first evaluation.
    assert [line.split()[0] for line in lines].count("1") == 2
    firsts = [float(lines[at + 1].split()[1]) for at, line in enumerate(lines) if line == "evaluations raw_y"]
    for result, share in zip(found.of("a b", "nsga2"), firsts, strict=True):
        reference = found.references["a b"]
        assert share == pytest.approx(reference.share(result.run.judged[:1]))
    names = {path.name for path in plot_comparison(found, tmp_path)}
    assert "runtimes.png" in names
    assert (tmp_path / "runtimes.csv").exists()


def test_short_runs_for_iohanalyzer_name_each_evaluation_once(problem: TableProblem, tmp_path: Path) -> None:
    found = compare(problem, ["random"], seeds=1, evaluations=10, progress=False)
    folder = to_iohanalyzer(found, tmp_path)[0]
    (path,) = folder.rglob("*.dat")
    assert [line.split()[0] for line in path.read_text().splitlines()[1:]] == [str(n) for n in range(1, 11)]
