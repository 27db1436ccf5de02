"""The verb `search` and what it says at its end."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from evo_qnas.archive import Archive
from evo_qnas.cli import app
from evo_qnas.problem import Networks, TableProblem, objective
from evo_qnas.search import search
from evo_qnas.search.summary import summary
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(4, seed=1)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["search", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_a_search_shows_its_front_and_goes_on(tmp_path: Path) -> None:
    TABLES.save(tmp_path / "four.h5")
    arguments = [str(tmp_path / "four.h5"), "-o", str(tmp_path / "a.h5"), "--population", "20", "--top", "3"]
    said = run(*arguments, "--evaluations", "60")
    archive = Archive.load(tmp_path / "a.h5")
    lines = said.splitlines()
    assert lines[0] == f"60 evaluations (the budget is spent), {len(archive.front)} networks on the front"
    assert lines[1].split()[:2] == ["evaluation", "score"]
    shown = [[float(word) for word in line.split()] for line in lines[2:5]]
    assert [int(row[0]) for row in shown] == archive.front.rows[[0, round((len(archive.front) - 1) / 2), -1]].tolist()
    np.testing.assert_allclose(shown[0][1:], archive.front.objectives[0], rtol=1e-5)
    assert lines[-1] == f"archive: {tmp_path / 'a.h5'}"
    assert run(*arguments, "--evaluations", "80").startswith("80 evaluations")


@objective(name="breaks")
def breaks(networks: Networks) -> np.ndarray:
    values = networks.column("score").sum(axis=1)
    return np.where(networks.weight_bits[:, 0] == networks.weight_bits[:, 1], np.nan, values)


def test_failed_evaluations_are_told_with_the_first_reason() -> None:
    problem = TableProblem(TABLES, objectives=[breaks, "size_bytes"])
    archive = search(problem, evaluations=60, population=20)
    failed = np.flatnonzero(archive.evaluations.state != 0)
    assert 0 < len(failed) < 60
    said = summary(archive, problem).splitlines()[-1]
    assert said.startswith(f"{len(failed)} evaluations failed; the first, evaluation {failed[0]}: ")


@pytest.mark.parametrize("rows", [1, 1000])
def test_no_more_rows_are_shown_than_asked_for_or_there(rows: int) -> None:
    problem = TableProblem(TABLES)
    archive = search(problem, evaluations=60, population=20)
    lines = summary(archive, problem, rows=rows).splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("evaluation "))
    numbered = [line for line in lines[head + 1 :] if line.split()[0].isdigit()]
    assert len(numbered) == min(rows, len(archive.front))
