"""Rules that end a search: callback, time limit, plateau, targets; resuming without them is exact."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.archive import Archive
from evo_qnas.cli import app
from evo_qnas.errors import SearchError
from evo_qnas.pareto import certificate
from evo_qnas.plots.terminal import archive_text, convergence_text, front_text
from evo_qnas.problem import Networks, TableProblem, objective
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(6, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))
SETTINGS: dict[str, Any] = {"population": 20, "seeding": False, "reduce": False, "progress": False}


def problem() -> TableProblem:
    return TableProblem(TABLES, ["score", "size_bytes"])


def test_a_target_of_hypervolume_ends_the_search_where_it_is_met() -> None:
    found = search(problem(), evaluations=3000, until="hypervolume >= 0.95", **SETTINGS)
    assert found.extras["ending"] == "the target is met: hypervolume >= 0.95"
    assert found.certificate.share >= 0.95 - 1e-9
    last = int(found.evaluations.generation.max())
    before = found.evaluations.objectives[found.evaluations.generation < last]
    assert certificate(problem(), before).share < 0.95
    assert len(found) < 3000


def test_targets_of_values_fronts_and_feasible_networks() -> None:
    whole = search(problem(), evaluations=600, **SETTINGS)
    best = float(whole.front.objectives[:, 0].min())
    for text, holds in (
        (f"score <= {best + 0.05}", lambda found: found.front.objectives[:, 0].min() <= best + 0.05),
        ("front >= 12", lambda found: len(found.front) >= 12),
        ("feasible >= 30", lambda found: len(found) >= 30),
    ):
        found = search(problem(), evaluations=600, until=text, **SETTINGS)
        assert holds(found)
        np.testing.assert_array_equal(found.genomes, whole.genomes[: len(found)])
    both = search(problem(), evaluations=600, until=["front >= 3", "feasible >= 300"], **SETTINGS)
    assert 300 <= len(both) < 600
    for text, match in (
        ("speed >= 3", r"until 'speed >= 3': there is no 'speed'; there are hypervolume, front, feasible, score"),
        ("front is 3", r"until: limit 'front is 3' cannot be read"),
    ):
        with pytest.raises(SearchError, match=match):
            search(problem(), evaluations=600, until=text, **SETTINGS)


def test_hypervolume_needs_a_known_optimum() -> None:
    @objective(name="odd")
    def odd(networks: Networks) -> np.ndarray:
        return networks.column("score").max(axis=1)

    with pytest.raises(SearchError, match=r"needs a known optimum, which this problem has not"):
        search(TableProblem(TABLES, [odd, "size_bytes"]), evaluations=50, until="hypervolume >= 0.9", **SETTINGS)


def test_maximised_objectives_are_targets_in_their_own_direction() -> None:
    tables = TABLES.with_column("gain", [-v for v in TABLES.column("score").values], direction="maximize")
    made = TableProblem(tables, ["gain", "size_bytes"])
    best = float(search(made, evaluations=400, **SETTINGS).front.objectives[:, 0].max())
    found = search(made, evaluations=400, until=f"gain >= {best - 0.1}", **SETTINGS)
    assert found.front.objectives[:, 0].max() >= best - 0.1
    assert len(found) < 400


def test_a_plateau_ends_the_search() -> None:
    found = search(problem(), algorithm="random", evaluations=6000, plateau=300, **SETTINGS)
    assert "has grown by less than 0.0001 of it in 300 evaluations" in str(found.extras["ending"])
    assert 300 <= len(found) < 6000
    volumes, ends = found.history.hypervolume, found.history.evaluations
    then = volumes[np.searchsorted(ends, len(found) - 300, side="right") - 1]
    assert volumes[-1] - then < 2e-4 * volumes[-1]
    for value in (0, True, 2.5):
        with pytest.raises((SearchError, TypeError), match=r"plateau"):
            search(problem(), evaluations=50, plateau=value, **SETTINGS)


def test_a_callback_sees_the_archive_and_may_end_the_search(tmp_path: Path) -> None:
    sizes: list[int] = []

    def look(archive: Archive) -> bool:
        sizes.append(len(archive))
        assert len(archive.front)
        assert not archive.finished
        return len(archive) >= 100

    path = tmp_path / "a.h5"
    found = search(problem(), evaluations=400, path=path, callback=look, **SETTINGS)
    assert sizes == sorted(set(sizes))
    assert len(found) == sizes[-1] >= 100
    assert found.extras["ending"] == "callback"
    more = search(problem(), evaluations=400, path=path, **SETTINGS)
    whole = search(problem(), evaluations=400, **SETTINGS)
    np.testing.assert_array_equal(more.genomes, whole.genomes)
    again = search(problem(), evaluations=400, path=path, until="feasible >= 50", **SETTINGS)
    assert len(again) == 400, "what is recorded stays"


def test_a_time_limit_ends_the_search_after_a_generation(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    found = search(problem(), evaluations=400, path=path, time_limit=1e-9, **SETTINGS)
    assert found.extras["ending"] == "time limit"
    assert set(found.evaluations.generation) == {0}
    more = search(problem(), evaluations=400, path=path, **SETTINGS)
    np.testing.assert_array_equal(more.genomes, search(problem(), evaluations=400, **SETTINGS).genomes)
    with pytest.raises(SearchError, match=r"time_limit must be seconds above 0, got 0.0"):
        search(problem(), evaluations=400, time_limit=0.0, **SETTINGS)


def test_the_population_follows_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    for budget, population in ((200, 20), (600, 20), (900, 20)):
        found = search(problem(), evaluations=budget, population="auto", path=path, progress=False)
        assert found.header.settings["population"] == population, "a search that goes on keeps its own"
    assert search(problem(), evaluations=500, population="auto", progress=False).header.settings["population"] == 50
    with pytest.raises(SearchError, match=r"population must be a whole number of at least 1, or 'auto', got 'many'"):
        search(problem(), evaluations=50, population="many", progress=False)


def test_the_command_line_has_the_rules_and_watches(tmp_path: Path) -> None:
    TABLES.save(tmp_path / "t.h5")
    arguments = ["search", str(tmp_path / "t.h5"), "-o", str(tmp_path / "a.h5"), "--population", "auto", "--noisy"]
    rules = ["--until", "front >= 8", "--plateau", "500", "--time-limit", "100", "--evaluations", "300"]
    result = CliRunner().invoke(app, [*arguments, *rules])
    assert result.exit_code == 0
    assert "(the target is met: front >= 8.0)" in result.stdout
    shown = CliRunner().invoke(app, ["watch", str(tmp_path / "a.h5"), "--once"])
    assert shown.exit_code == 0
    archive = Archive.load(tmp_path / "a.h5")
    assert f"{len(archive)} of 300 evaluations with nsga2, {len(archive.front)} on the front (finished)" in shown.stdout
    assert "size_bytes, " in shown.stdout


def test_texts_of_fronts_and_courses() -> None:
    found = search(problem(), evaluations=100, **SETTINGS)
    text = archive_text(found, width=40)
    assert all(len(line) <= 40 or "evaluations" in line for line in text.splitlines())
    single = search(TableProblem(TABLES, ["score"]), evaluations=30, progress=False)
    assert front_text(single).startswith("best score: ")
    impossible = eq.DeclaredProblem([2, 2], ["a"], ["limit"])
    none = Archive.from_evaluations(impossible, [[0, 0]], [[1.0]], [[5.0]])
    assert front_text(none) == "no network met every limit yet"
    assert convergence_text(none) == "no hypervolume yet"
