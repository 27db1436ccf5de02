"""The verb `compare`, and the pictures it draws."""

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from evo_qnas.cli import app
from evo_qnas.errors import CardError, ProblemError, SearchError
from evo_qnas.plots.compare import _cliques
from evo_qnas.problem import TableProblem


@pytest.fixture
def tables(problem: TableProblem, tmp_path: Path) -> Path:
    problem.tables.save(tmp_path / "six.h5")
    return tmp_path / "six.h5"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["compare", *arguments, "--jobs", "1", "--seeds", "2", "--evaluations", "60"])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_tables_are_compared(tables: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    said = run(str(tables), "--algorithm", "nsga2", "--algorithm", "plain=random,seeding=false", "-o", str(folder))
    assert "With 2 seeds and 1 pair tested on each problem" in said
    assert set(pd.read_csv(folder / "results.csv")["algorithm"]) == {"nsga2", "plain"}
    for name in ("convergence.png", "attainment.png", "profiles.png"):
        assert (folder / name).read_bytes()[:4] == b"\x89PNG"
    assert len(list((folder / "runs" / "six").rglob("*.h5"))) == 4


def test_suite_is_compared(tmp_path: Path) -> None:
    names = [word for name in ("generated-8", "coupled") for word in ("--only", name)]
    said = run(
        "suite", *names, "--algorithm", "nsga2", "--algorithm", "local", "-o", str(tmp_path), "--pictures", "svg"
    )
    assert "== coupled: 10 blocks x 4 choices" in said
    assert "each against nsga2" in said
    drawn = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert drawn == ["attainment.svg", "convergence.svg", "profiles.svg", "ranks.svg", "runtimes.svg"]


def test_problem_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own_problem.py").write_text(
        "from evo_qnas.problem import TableProblem\nfrom evo_qnas.tables.generate import generate_tables\n"
        "def make():\n    return TableProblem(generate_tables(3, operators=2))\n",
        encoding="utf-8",
    )
    assert "== make" in run("my_own_problem:make", "--pictures", "none")
    assert (tmp_path / "results" / "compare-make" / "summary.txt").exists()
    with pytest.raises(ProblemError, match="module my_own_problem has no 'other'"):
        run("my_own_problem:other")
    with pytest.raises(ProblemError, match="'no_such_module:x' cannot be imported"):
        run("no_such_module:x")


def test_refusals(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(CardError, match="neither a file of tables, nor module:problem, nor a suite"):
        run("digits")
    with pytest.raises(SearchError, match="there is no algorithm 'nsga'"):
        run(str(tables), "--algorithm", "nsga", "-o", str(tmp_path))
    with pytest.raises(SystemExit, match=r"^2$"):
        run(str(tables), "-o", str(tmp_path), "--pictures", "gif")
    with pytest.raises(ProblemError, match="no column 'scor'"):
        run(str(tables), "--objective", "scor", "-o", str(tmp_path))


def test_cliques_hold_what_does_not_differ() -> None:
    assert _cliques([1.0, 2.0, 3.0, 4.0], 1.5) == [(0, 1), (1, 2), (2, 3)]
    assert _cliques([1.0, 2.0, 3.0], 5.0) == [(0, 2)]
    assert _cliques([1.0, 4.0], 2.0) == []
