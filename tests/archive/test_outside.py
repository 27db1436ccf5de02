"""Evaluations made elsewhere as archives: from arrays, data frames and CSV files; known to a search."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evo_qnas as eq
from evo_qnas.archive import Archive
from evo_qnas.errors import ArchiveError, ProblemError, SearchError
from evo_qnas.problem import Networks, TableProblem, from_pymoo, objective
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables
from tests.problem.made import made_tables

TABLES = generate_tables(4, operators=2, weight_bits=(2, 4, 8), activation_bits=(8,))


def problem() -> TableProblem:
    return TableProblem(TABLES, ["score", "size_bytes"], constraints=["latency_ms <= 6"])


def test_an_archive_is_made_again_from_its_own_values(tmp_path: Path) -> None:
    first = search(problem(), evaluations=60, progress=False)
    again = Archive.from_evaluations(problem(), first.genomes, first.objectives, first.constraints)
    np.testing.assert_array_equal(again.front.rows, first.front.rows)
    np.testing.assert_array_equal(again.objectives, first.objectives)
    assert again.finished
    stored = Archive.from_evaluations(problem(), first.genomes, first.objectives, path=tmp_path / "a.h5")
    np.testing.assert_array_equal(Archive.load(tmp_path / "a.h5").constraints, first.constraints)
    assert stored.path == tmp_path / "a.h5"
    first.to_csv(tmp_path / "a.csv")
    for source in (tmp_path / "a.csv", first.to_dataframe()):
        read = Archive.from_dataframe(problem(), source)
        np.testing.assert_array_equal(read.genomes, first.genomes)
        np.testing.assert_allclose(read.objectives, first.objectives, rtol=1e-15)
    assert len(first.merge(search(problem(), algorithm="random", seed=5, evaluations=30, progress=False))) >= 60


def test_values_and_indices_are_choices_too() -> None:
    from pymoo.core.problem import Problem as Original

    class Sums(Original):
        def __init__(self) -> None:
            super().__init__(n_var=3, n_obj=2, xl=-2, xu=3, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict[str, np.ndarray], *_: object, **__: object) -> None:
            out["F"] = np.stack([x.sum(axis=1), (3 - x).sum(axis=1)], axis=1).astype(float)

    made = from_pymoo(Sums())
    first = search(made, evaluations=40, progress=False)
    read = Archive.from_dataframe(made, first.to_dataframe())
    np.testing.assert_array_equal(read.genomes, first.genomes)
    declared = eq.DeclaredProblem({"a": 2, "b": 3}, ["error"])
    plain = Archive.from_dataframe(declared, pd.DataFrame({"a": [0, 1], "b": [2, 0], "error": [0.5, 0.25]}))
    assert plain.genomes.tolist() == [[0, 2], [1, 0]]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    frame = search(problem(), evaluations=30, progress=False).to_dataframe()
    block = problem().space.blocks[0]
    wrong = frame.copy()
    wrong[block] = "nothing w9"
    for table, error, match in (
        (frame.drop(columns=[block]), ArchiveError, rf"the column of block '{block}' is missing"),
        (frame.drop(columns=["score"]), ArchiveError, r"the column of objective 'score' is missing"),
        (wrong, ArchiveError, rf"block '{block}' has no choice 'nothing w9'; there are: "),
    ):
        with pytest.raises(error, match=match):
            Archive.from_dataframe(problem(), table)
    holes = frame.copy()
    holes[block] = [np.nan, *frame[block][1:]]
    with pytest.raises(ArchiveError, match=rf"block '{block}' has no choice nan; there are: "):
        Archive.from_dataframe(problem(), holes)
    with pytest.raises(ArchiveError, match=r"cannot be read as CSV"):
        Archive.from_dataframe(problem(), tmp_path / "none.csv")
    with pytest.raises(ProblemError, match=r"from_evaluations: objectives need the shape"):
        Archive.from_evaluations(problem(), [[0, 0, 0, 0]], [1.0])
    with pytest.raises(ProblemError, match=r"genomes must be whole numbers"):
        Archive.from_evaluations(problem(), [[0.5, 0, 0, 0]], [[1.0, 2.0]])


def test_repeated_networks_count_once_and_missing_values_failed() -> None:
    made = Archive.from_evaluations(
        problem(), [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], [[1.0, 2.0], [5.0, 5.0], [np.nan, 1.0]]
    )
    assert len(made) == 2
    assert made.evaluations.state.tolist() == [0, 1]
    assert made.evaluations.reasons == {1: "no number was given"}


def test_known_values_are_not_evaluated_again(tmp_path: Path) -> None:
    calls: list[bytes] = []

    @objective(name="mine")
    def mine(networks: Networks) -> np.ndarray:
        calls.extend(genome.tobytes() for genome in networks.genomes)
        return networks.column("cost").max(axis=1)

    made = TableProblem(made_tables(3, 4), [mine, "cost"])
    first = search(made, evaluations=30, seed=1, progress=False)
    elsewhere = Archive.from_evaluations(made, first.genomes, first.objectives, first.constraints)
    calls.clear()
    for known in (first, elsewhere):
        path = tmp_path / f"{known.header.algorithm}.h5"
        found = search(made, evaluations=20, seed=2, path=path, known=known, progress=False)
        told = {genome.tobytes() for genome in first.genomes}
        assert not told & set(calls)
        assert {genome.tobytes() for genome in first.front.genomes} <= {genome.tobytes() for genome in found.genomes}
        more = search(made, evaluations=40, seed=2, path=path, known=known, progress=False)
        whole = search(made, evaluations=40, seed=2, known=known, progress=False)
        np.testing.assert_array_equal(more.genomes, whole.genomes)
        calls.clear()
    with pytest.raises(ArchiveError, match=r"holds another search \(known: "):
        search(made, evaluations=40, seed=2, path=path, progress=False)
    other = search(TableProblem(made_tables(3, 4), ["cost"]), evaluations=10, progress=False)
    with pytest.raises(SearchError, match=r"the known evaluations are of another problem, its objectives differ"):
        search(made, evaluations=10, known=other, progress=False)
    changed = search(TableProblem(made_tables(3, 4, fixed=9.0), [mine, "cost"]), evaluations=10, progress=False)
    with pytest.raises(SearchError, match=r"its fingerprint differs"):
        search(made, evaluations=10, known=changed, progress=False)


def test_indicators_of_any_points() -> None:
    assert eq.indicators.hypervolume([[1, 2], [2, 1]], reference=[3, 3]) == 3.0
    assert eq.indicators.hypervolume([[1, 2], [2, 1]], reference=[0, 0], maximize=True) == 3.0
    assert eq.indicators.hypervolume([[1, 2]], reference=[3, 0], maximize=[False, True]) == 4.0
    assert eq.indicators.epsilon([[1, 20]], reference=[[0, 10], [10, 0]], scaled=True) == 2.0
    assert eq.indicators.igd_plus(np.empty((0, 2)), reference=[[0, 1]]) == np.inf
    assert eq.indicators.hypervolume([[np.nan, 1]], reference=[3, 3]) == 0.0
    for call, match in (
        (lambda: eq.indicators.hypervolume([1.0], reference=[1.0]), r"points need one row a point"),
        (
            lambda: eq.indicators.hypervolume([[1.0]], reference=[1.0, 2.0]),
            r"the reference point needs the shape \(1,\)",
        ),
        (lambda: eq.indicators.epsilon([[1.0]], reference=[[1.0, 2.0]]), r"needs points of 1 objectives"),
        (
            lambda: eq.indicators.epsilon([[1.0]], reference=[[1.0]], maximize=[True, False]),
            r"maximize needs one value",
        ),
    ):
        with pytest.raises(ProblemError, match=match):
            call()
