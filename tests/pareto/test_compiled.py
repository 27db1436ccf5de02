"""Merging in machine code beside numpy's: the same points, the same networks."""

from importlib.util import find_spec

import numpy as np
import pytest

from evo_qnas.pareto import compiled, exact_front
from evo_qnas.pareto.filters import minima
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables

NAMES = ["score", "size_bytes", "latency_ms"]


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba, the extra `fast`")
@pytest.mark.parametrize(("m", "limits"), [(3, []), (2, ["latency_ms <= 2.2"]), (3, ["size_bytes <= 200_000"])])
def test_fronts_are_the_same_point_for_point(m: int, limits: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    problem = TableProblem(generate_tables(5, operators=6), objectives=NAMES[:m], constraints=limits)
    monkeypatch.setattr(compiled, "_FEW_SUMS", 0)
    assert compiled.pays(3, m, 1)
    fast = exact_front(problem)
    monkeypatch.setattr(compiled, "installed", lambda: False)
    plain = exact_front(problem)
    np.testing.assert_array_equal(fast.objectives, plain.objectives)
    np.testing.assert_array_equal(fast.genomes, plain.genomes)
    assert len(fast.genomes) > 50


@pytest.mark.parametrize(("m", "limits"), [(3, []), (2, ["latency_ms <= 2.2"])])
def test_what_is_compiled_is_right_as_python_too(m: int, limits: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions that numba compiles, run as they are: they are tested where numba is not installed."""
    problem = TableProblem(generate_tables(3, operators=3), objectives=NAMES[:m], constraints=limits)
    plain = exact_front(problem)
    monkeypatch.setattr(compiled, "_FEW_SUMS", 0)
    monkeypatch.setattr(compiled, "installed", lambda: True)
    monkeypatch.setattr(compiled, "_kernels", lambda: (compiled._enter, compiled._passing, compiled._sweep))
    python = exact_front(problem)
    np.testing.assert_array_equal(python.objectives, plain.objectives)
    np.testing.assert_array_equal(python.genomes, plain.genomes)


@pytest.mark.parametrize("levels", [3, 20, 10**9])
def test_minima_are_those_of_the_plain_filter(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_kernels", lambda: (compiled._enter, compiled._passing, compiled._sweep))
    points = np.random.default_rng(levels).integers(0, levels, size=(3, 400)).astype(np.float64)
    assert compiled.minima(points).tolist() == np.sort(minima(points)).tolist()


def test_other_dimensions_and_few_sums_stay_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "installed", lambda: True)
    assert compiled.pays(3, 2, 10**9)
    assert not compiled.pays(2, 2, 10**9)
    assert not compiled.pays(4, 3, 10**9)
    assert not compiled.pays(3, 2, 1000)
