"""Algorithms by name and by object: the contract, other packages' entries, optimizers of the user's own."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import final

import numpy as np
import pytest

from evo_qnas import compare, registry
from evo_qnas.archive import Archive
from evo_qnas.errors import SearchError
from evo_qnas.pareto import exact_front
from evo_qnas.problem import TableProblem
from evo_qnas.search import ALGORITHMS, Algorithm, Optimizer, SearchContext, search
from evo_qnas.search.algorithms import algorithm_of, name_of
from evo_qnas.tables.generate import generate_tables
from evo_qnas.testing import AlgorithmContract
from tests.plugin.squares_plugin.walks import Walk, Walks

TABLES = generate_tables(5, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


def problem() -> TableProblem:
    return TableProblem(TABLES, objectives=["score", "size_bytes"])


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    entry = EntryPoint(name="walks", value=f"{Walks.__module__}:Walks", group="evo_qnas.algorithms")
    registry._entries.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == entry.group else [])
    yield
    registry._entries.cache_clear()


class TestWalks(AlgorithmContract):
    def make_algorithm(self) -> Algorithm:
        return Walks()


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "age-moea2"])
class TestOurs(AlgorithmContract):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    def make_algorithm(self) -> str:
        return self.name


def test_the_contract_finds_what_breaks_it() -> None:
    high = 50

    @final
    class Careless(Algorithm):
        about = "draws from the global generator, out of range"

        def make(self, context: SearchContext) -> Optimizer:
            walk = Walk(context.space, np.random.default_rng())
            walk.ask = lambda: np.random.randint(0, high, size=(3, 5))  # type: ignore[method-assign] # noqa: NPY002
            return walk

    class Contract(AlgorithmContract):
        def make_algorithm(self) -> Algorithm:
            return Careless()

    with pytest.raises(AssertionError, match=r"a gene has no more options than its space says"):
        Contract().test_rows_are_gene_values()
    high = 2
    with pytest.raises(AssertionError, match=r"Arrays are not equal"):
        Contract().test_equal_seeds_and_values_give_equal_rows()


@pytest.mark.usefixtures("_installed")
def test_an_entry_point_is_found_by_search_comparison_and_lists(tmp_path: Path) -> None:
    assert list(ALGORITHMS)[-1] == "walks"
    assert ALGORITHMS["walks"] == Walks.about
    archive = search(problem(), algorithm="walks", evaluations=50, seed=1, path=tmp_path / "a.h5")
    assert archive.header.algorithm == "walks"
    assert len(archive) == 50
    by_object = search(problem(), algorithm=Walks(), evaluations=50, seed=1)
    assert by_object.header.algorithm == "Walks"
    np.testing.assert_array_equal(archive.genomes, by_object.genomes)
    found = compare([problem()], ["walks", "random"], seeds=[0], evaluations=30, baseline=False, progress=False)
    assert set(found.to_dataframe()["algorithm"]) == {"walks", "random"}


def test_an_optimizer_searches_the_problems_own_space(tmp_path: Path) -> None:
    def made() -> Walk:
        return Walk(problem().space, np.random.default_rng(3))

    optimizer, path = made(), tmp_path / "a.h5"
    whole = search(problem(), algorithm=optimizer, evaluations=40)
    assert whole.header.algorithm == "Walk"
    assert optimizer.answered >= 39
    search(problem(), algorithm=made(), evaluations=20, path=path)
    search(problem(), algorithm=made(), evaluations=40, path=path)
    np.testing.assert_array_equal(Archive.load(path).genomes, whole.genomes)
    counts = problem().space.counts
    assert (whole.genomes.max(axis=0) == counts - 1).all(), "options that no optimum needs are tried too"


def test_a_comparison_needs_an_algorithm_that_makes_one_optimizer_for_each_run() -> None:
    with pytest.raises(SearchError, match=r"walk: an object with ask and tell serves one run only: give its class"):
        compare([problem()], {"walk": Walk(problem().space, np.random.default_rng(0))}, seeds=[0], evaluations=10)
    found = compare([problem()], {"walk": Walks()}, seeds=[0], evaluations=10, baseline=False, progress=False)
    assert found.to_dataframe()["algorithm"].tolist() == ["walk"]


def test_names_of_algorithms_as_archives_have_them() -> None:
    assert name_of("nsga2") == "nsga2"
    assert name_of(Walks()) == "Walks"
    assert name_of(3) == "pymoo:int"


def test_descriptions_are_a_mapping_that_imports_no_pymoo() -> None:
    code = "import sys; from evo_qnas import ALGORITHMS as a; print(len(dict(a)), len(a), 'pymoo' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["11", "11", "False"]
    assert "nsga4" not in ALGORITHMS
    with pytest.raises(KeyError, match=r"nsga4"):
        ALGORITHMS["nsga4"]
    with pytest.raises(SearchError, match=r"there is no algorithm 'nsga4'; the nearest are"):
        algorithm_of("nsga4")


def test_only_the_exact_front_is_recorded_beyond_the_budget() -> None:
    assert [name for name in ALGORITHMS if algorithm_of(name).complete] == ["exact"]
    archive = search(problem(), algorithm="exact", evaluations=2)
    assert len(archive) == len(exact_front(problem()).genomes) > 2
    assert archive.header.settings["evaluations"] == len(archive)
    assert search(problem(), algorithm="exact", evaluations=500).header.settings["evaluations"] == 500
