"""Slow functions in batches: as many networks at once as take 20 ms, and one that kills its worker costs no other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from evo_qnas.jobs import Lost
from evo_qnas.problem import TableProblem, objective, slow
from evo_qnas.problem.networks import Networks
from evo_qnas.problem.slow import SlowResult, Took
from tests.problem.made import made_tables


def total(networks: Networks) -> float:
    return float(networks.genomes.sum())


class FakePool:
    """Workers that die of the network of zeros, and are quick; keeps what it was given."""

    capacity, width = 4, 3
    given: list[list[list[int]]]

    def __init__(self, task: Any, *, jobs: int) -> None:
        self._task = task
        self._ended: list[tuple[int, Any]] = []

    def __len__(self) -> int:
        return len(self._ended)

    def submit(self, key: int, genomes: np.ndarray, name: str) -> None:
        FakePool.given.append(genomes.tolist())
        bad = (genomes == 0).all(axis=1).any()
        self._ended.append((key, Lost("it died 3 times") if bad else self._task(genomes)))

    def results(self) -> list[tuple[int, Any]]:
        ended, self._ended = self._ended, []
        return ended

    def __enter__(self) -> "FakePool":
        return self

    def __exit__(self, *_error: object) -> None:
        FakePool.given.append([])


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    monkeypatch.setattr(slow, "Pool", FakePool)
    FakePool.given = []
    return FakePool.given


def test_of_a_batch_whose_worker_dies_each_other_network_has_its_value(given: list[list[list[int]]]) -> None:
    tables = made_tables(3, 4)
    problem = TableProblem(tables, [objective(name="mine", per_network=True, unit="1")(total), "cost"])
    genomes = problem.space.sample(np.random.default_rng(0), 40)
    genomes[:, 0] = np.maximum(genomes[:, 0], 1)
    genomes[25] = 0
    rows: dict[int, SlowResult] = {result.row: result for result in slow.run_slow(*_parts(problem), genomes, jobs=3)}
    assert sorted(rows) == list(range(40))
    values = [rows[row].values[0] for row in range(40)]
    np.testing.assert_array_equal(values, np.where((genomes == 0).all(axis=1), np.nan, genomes.sum(axis=1)))
    assert rows[25].reason == "not evaluated: it died 3 times"
    sizes = [len(batch) for batch in given]
    assert sizes[:4] == [1, 1, 1, 1], "how long a network takes is not known yet"
    assert max(sizes) > 1
    dead = next(at for at, batch in enumerate(given) if [0, 0, 0, 0] in batch)
    assert set(sizes[dead + 4 : -1]) == {1}, "later ones are alone"
    assert given[-1] == [], "the pool is closed"


def _parts(problem: TableProblem) -> tuple[Sequence[Any], Any]:
    return problem.slow_functions, problem.tables


def test_batches_take_twenty_milliseconds() -> None:
    took = Took()
    assert took.batch(50) == 1
    took.add([SlowResult(row=0, values=(1.0,), state=0, reason="", seconds=0.002)] * 5)
    assert took.batch(50) == 10
    assert took.batch(3) == 3
    assert took.batch(0) == 1
    took.add([SlowResult(row=0, values=(1.0,), state=0, reason="", seconds=10.0)])
    assert took.batch(50) == 1
