"""Archives are resumed where the problem is the same, and refused where something that it depends on has changed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.core.problem import Problem as Original

from evo_qnas.archive import Archive
from evo_qnas.compare import compare
from evo_qnas.errors import ArchiveError
from evo_qnas.problem import Networks, TableProblem, from_pymoo, objective
from evo_qnas.search import search
from tests.problem.changing import KINDS, forget_helpers, made_function
from tests.problem.made import made_tables

# No value of a sum is the same after a change of sign or size.
TABLES = made_tables(3, 4, fixed=1.0)
REFUSED = (
    r"holds another search \(the (values of the )?problem \(its fingerprint differs\)|cannot be continued: evaluation"
)
SETTINGS: dict[str, Any] = {"algorithm": "random", "population": 6, "progress": False}


@pytest.fixture(autouse=True, scope="module")
def _helpers() -> Iterator[None]:
    """The module of helpers vanishes after the tests."""
    yield
    forget_helpers()


class Weighted(Original):
    """A pymoo problem with its numbers in a list and in another object."""

    def __init__(self, factor: float) -> None:
        super().__init__(n_var=3, n_obj=2, xl=0, xu=4, vtype=int)
        self.weights = [1.0, factor]

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        out["F"] = np.stack([self.weights[1] * x.sum(axis=1), -x[:, 0].astype(float)], axis=1)


def problem_of(kind: str, factor: float) -> Any:
    if kind == "list of a pymoo problem":
        return Weighted(factor)
    function = made_function(kind, factor)
    return TableProblem(TABLES, [objective(name="mine")(function), "cost"])


@pytest.mark.parametrize("kind", [*KINDS, "list of a pymoo problem"])
@settings(max_examples=4, deadline=None)
@given(factors=st.tuples(st.sampled_from([-2, 1, 2.5]), st.sampled_from([-2, 1, 2.5])), more=st.booleans())
def test_changed_objectives_are_refused_and_unchanged_ones_never(
    kind: str, factors: tuple[float, float], more: bool
) -> None:
    first, second = factors
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        search(problem_of(kind, first), evaluations=12, path=path, **SETTINGS)
        content = path.read_bytes()
        evaluations = 18 if more else 12
        if first == second:
            resumed = search(problem_of(kind, second), evaluations=evaluations, path=path, **SETTINGS)
            whole = search(problem_of(kind, second), evaluations=evaluations, **SETTINGS)
            np.testing.assert_array_equal(resumed.evaluations.objectives, whole.evaluations.objectives)
        else:
            with pytest.raises(ArchiveError, match=REFUSED):
                search(problem_of(kind, second), evaluations=evaluations, path=path, **SETTINGS)
            assert path.read_bytes() == content, "a refused archive stays as it was"


def test_the_same_problem_object_is_refused_after_a_change(tmp_path: Path) -> None:
    for problem in (weighted := Weighted(2.0), from_pymoo(weighted)):
        path = tmp_path / f"{type(problem).__name__}.h5"
        weighted.weights = [1.0, 2.0]
        search(problem, evaluations=12, path=path, **SETTINGS)
        search(problem, evaluations=14, path=path, **SETTINGS)
        weighted.weights[1] = 3.0
        with pytest.raises(ArchiveError, match=REFUSED):
            search(problem, evaluations=14, path=path, **SETTINGS)


class FromFile:
    """A number in a file, which no fingerprint covers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = 0

    def __call__(self, networks: Networks) -> np.ndarray:
        self.calls += len(networks)
        return float(self.path.read_text()) * (1.0 + networks.genomes.sum(axis=1))


@pytest.mark.parametrize("per_network", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_other_values_are_refused_with_row_and_both_values(tmp_path: Path, per_network: bool, maximize: bool) -> None:
    factor, path = tmp_path / "factor", tmp_path / "a.h5"
    factor.write_text("2")
    function = FromFile(factor)
    mine = objective(name="mine", per_network=per_network, maximize=maximize)(function)
    problem = TableProblem(TABLES, [mine, "cost"])
    unbroken = search(problem, evaluations=12, path=path, **SETTINGS)
    assert function.calls == 12, "an unbroken search evaluates nothing twice"
    search(problem, evaluations=12, path=path, **SETTINGS)
    assert function.calls == 15, "three rows are evaluated again"
    factor.write_text("3")
    words_of_it = r"evaluation \d+, genome \[.*\], has mine = \d+ now, and .* has \d+: "
    with pytest.raises(ArchiveError, match=words_of_it) as caught:
        search(problem, evaluations=12, path=path, **SETTINGS)
    words = str(caught.value).split()
    row, now = int(words[words.index("evaluation") + 1].strip(",")), float(words[words.index("=") + 1])
    value = 1.0 + unbroken.genomes[row].sum()
    assert now == 3 * value
    assert f"the archive has {2 * value:.10g}:" in str(caught.value)
    assert "noisy=True" in str(caught.value)
    assert Archive.load(path).finished, "a refused archive stays as it was"
    assert len(search(problem, evaluations=14, path=path, noisy=True, **SETTINGS)) == 14


def test_what_fails_now_is_refused(tmp_path: Path) -> None:
    factor, path = tmp_path / "factor", tmp_path / "a.h5"
    factor.write_text("2")
    problem = TableProblem(TABLES, [objective(name="mine")(FromFile(factor)), "cost"])
    search(problem, evaluations=12, path=path, **SETTINGS)
    factor.unlink()
    with pytest.raises(ArchiveError, match=r"was evaluated before and fails now \(.*FileNotFoundError"):
        search(problem, evaluations=12, path=path, **SETTINGS)


class Noisy:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, networks: Networks) -> np.ndarray:
        return self.rng.random(len(networks))


def test_noisy_objectives_are_resumed_where_they_say_so(tmp_path: Path) -> None:
    noise, path = Noisy(), tmp_path / "a.h5"
    quiet = TableProblem(TABLES, [objective(name="noise")(noise), "cost"])
    said = TableProblem(TABLES, [objective(name="noise", noisy=True)(noise), "cost"])
    first = search(said, evaluations=12, path=path, **SETTINGS)
    resumed = search(said, evaluations=18, path=path, **SETTINGS)
    np.testing.assert_array_equal(resumed.objectives[:12], first.objectives)
    with pytest.raises(ArchiveError, match=r"cannot be continued: evaluation .*\(noisy=True\)"):
        search(quiet, evaluations=18, path=path, **SETTINGS)


def test_noisy_pymoo_problems_are_resumed_where_they_say_so(tmp_path: Path) -> None:
    class Random(Weighted):
        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
            out["F"] = np.random.default_rng().random((len(x), 2))

    said = from_pymoo(Random(1.0), noisy=True)
    search(said, evaluations=12, path=tmp_path / "a.h5", **SETTINGS)
    assert len(search(said, evaluations=18, path=tmp_path / "a.h5", **SETTINGS)) == 18
    with pytest.raises(ArchiveError, match=r"cannot be continued: evaluation"):
        search(Random(1.0), evaluations=18, path=tmp_path / "a.h5", **SETTINGS)


@pytest.mark.parametrize("kind", ["closure", "partial argument"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_comparisons_refuse_and_reuse_alike(tmp_path: Path, kind: str, jobs: int) -> None:
    chosen: dict[str, Any] = {"seeds": 1, "path": tmp_path, "progress": False, "jobs": jobs}
    compare(problem_of(kind, 2), ["random", "local"], evaluations=12, **chosen)
    again = compare(problem_of(kind, 2), ["random", "local"], evaluations=12, **chosen)
    assert all(result.run.reused for result in again.results)
    for evaluations in (12, 18):
        with pytest.raises(ArchiveError, match=REFUSED):
            compare(problem_of(kind, -2), ["random", "local"], evaluations=evaluations, **chosen)


def test_comparisons_hold_finished_runs_against_new_values(tmp_path: Path) -> None:
    factor = tmp_path / "factor"
    factor.write_text("2")
    problem = TableProblem(TABLES, [objective(name="mine")(FromFile(factor)), "cost"])
    chosen: dict[str, Any] = {"seeds": 1, "evaluations": 12, "path": tmp_path / "runs", "progress": False}
    compare(problem, ["random"], **chosen)
    factor.write_text("3")
    with pytest.raises(ArchiveError, match=r"seed-0000.h5 cannot be continued: evaluation \d+"):
        compare(problem, ["random"], **chosen)
    assert compare(problem, ["random"], noisy=True, **chosen).results[0].run.reused
