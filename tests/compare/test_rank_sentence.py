"""The sentence about average ranks, on ranks worked out by hand."""

from typing import Any

import numpy as np
import pytest

from evo_qnas.compare import Comparison, compare, runs
from evo_qnas.compare.case import Case
from evo_qnas.compare.entries import entries_of
from evo_qnas.compare.statistics import Ranks
from evo_qnas.compare.summary import _rank_sentence
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    problem = TableProblem(generate_tables(2, operators=2, weight_bits=(4, 8)))
    cases = [Case(name=name, problem=problem) for name in ("one", "two")]
    return compare(cases, dict.fromkeys("abc", "random"), seeds=1, evaluations=6, progress=False)


def sentence(comparison: Comparison, means: list[float], monkeypatch: pytest.MonkeyPatch) -> str:
    """The sentence for these mean ranks and a critical difference of 1."""
    ranks = Ranks(mean=np.array(means), problems=4, statistic=3.0, p=0.04, critical=1.0)
    monkeypatch.setattr(Comparison, "ranks", lambda _: ranks)
    return _rank_sentence(comparison)


def test_ranks_differ_where_they_are_more_than_the_critical_difference_apart(
    comparison: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "a differs from c." in sentence(comparison, [1.0, 2.0, 2.5], monkeypatch)
    assert "a is not shown to differ from any other" in sentence(comparison, [1.0, 2.0, 2.0], monkeypatch)
    assert "b differs from a, c" in sentence(comparison, [2.5, 1.0, 2.5], monkeypatch)


def test_the_bar_of_a_comparison_moves_by_one_for_each_run(monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[int] = []

    class Bar:
        def __enter__(self) -> Any:
            return moves.append

        def __exit__(self, *_: object) -> None:
            return None

    totals: list[int] = []

    def bar(_label: str, total: int, **_: Any) -> Bar:
        totals.append(total)
        return Bar()

    monkeypatch.setattr(runs, "progress_bar", bar)
    cases = [Case(name="a", problem=TableProblem(generate_tables(2, operators=2, weight_bits=(4, 8))))]
    entries = entries_of(["random", "nsga2"])
    made = runs.make_runs(cases, entries, [0, 1], evaluations=8, folder=None, jobs=1, progress=False)
    assert (len(made), totals, moves) == (4, [4], [1, 1, 1, 1])
