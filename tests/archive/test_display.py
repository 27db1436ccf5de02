"""Short reprs, tables for notebooks, single networks of a front, figures."""

from importlib.metadata import version

import pytest

import evo_qnas as eq
from evo_qnas.compare import compare
from evo_qnas.plots import figure
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(30, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


def test_reprs_are_one_short_line() -> None:
    problem = TableProblem(TABLES, ["score", "size_bytes"], constraints=["latency_ms <= 60"])
    archive = search(problem, evaluations=300, progress=False)
    compared = compare(problem, "nsga2", seeds=1, evaluations=40, baseline=False, progress=False)
    for shown, begins in (
        (TABLES, "Tables(30 blocks, "),
        (problem, "TableProblem(score, size_bytes; latency_ms <= 60; 30 blocks, 10^"),
        (archive, "Archive(in memory: 300 evaluations, "),
        (archive.front, f"Front({len(archive.front)} networks: score "),
        (archive.front[0], "Front(evaluation "),
        (compared, "Comparison(nsga2; problems: 1, seeds: 1, 40 evaluations)"),
    ):
        assert repr(shown).startswith(begins)
        assert len(repr(shown)) < 200
        assert "\n" not in repr(shown)
        html = shown._repr_html_()
        assert "<table>" in html
        assert len(html) < 6000
        assert repr(shown).split("<")[0].split("(")[0] in html or "networks" in html


def test_names_in_notebooks_are_escaped() -> None:
    problem = eq.DeclaredProblem([2, 2], ["<script>"])
    assert "<script>" not in problem._repr_html_()


def test_networks_of_a_front() -> None:
    archive = search(TableProblem(TABLES, ["score", "size_bytes"]), evaluations=300, progress=False)
    front = archive.front
    assert len(front[0]) == 1
    assert front[-1].rows.tolist() == front.rows[-1:].tolist()
    assert [one.rows[0] for one in front] == front.rows.tolist()
    assert front[2:5].rows.tolist() == front.rows[2:5].tolist()
    assert len(front[front.objectives[:, 0] < front.objectives[:, 0].mean()]) < len(front)
    assert len(front[0].to_dataframe()) == 1
    with pytest.raises(IndexError, match=r"out of bounds"):
        front[len(front)]


def test_plots_are_figures() -> None:
    archive = search(TableProblem(TABLES, ["score", "size_bytes"]), evaluations=100, progress=False)
    assert type(archive.plot()).__name__ == "Figure"
    assert type(archive.plot("convergence", exact=False)).__name__ == "Figure"
    assert type(figure(archive, kind="parallel")).__name__ == "Figure"


def test_the_version_is_known() -> None:
    assert eq.__version__ == version("evo_qnas")
