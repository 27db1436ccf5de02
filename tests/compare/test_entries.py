"""How users name algorithms, problems and seeds."""

import pickle
from typing import Any

import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2

from evo_qnas.compare import Entry, compare, entries_of, parse_entry
from evo_qnas.errors import SearchError
from evo_qnas.problem import TableProblem


def test_forms_of_algorithms() -> None:
    mine = NSGA2(pop_size=20)
    assert [entry.name for entry in entries_of(["nsga2", mine, "a=local"])] == ["nsga2", "NSGA2", "a"]
    assert entries_of("random")[0].algorithm == "random"
    mapped = entries_of({"big": {"algorithm": "nsga2", "population": 200}, "pymoo": mine})
    assert [entry.text for entry in mapped] == ["nsga2, population=200", "pymoo's NSGA2"]
    entry = parse_entry("plain=nsga2,seeding=no, population=50,variation=default")
    assert dict(entry.settings) == {"seeding": False, "population": 50, "variation": "default"}
    assert pickle.loads(pickle.dumps(entry)) == entry


@pytest.mark.parametrize(
    ("algorithms", "message"),
    [
        ([], "at least one algorithm"),
        (["nsga2", "nsga2"], "'nsga2' is there 2 times"),
        (["nsag2"], "there is no algorithm 'nsag2'; the nearest are: .*nsga2"),
        (
            ["a=nsga2,poplation=3"],
            "after the algorithm come settings such as seeding=false; the nearest are: population",
        ),
        (["a=nsga2,population=x"], "population must be a whole number, not 'x'"),
        (["a=nsga2,seeding=maybe"], "seeding must be true or false, not 'maybe'"),
        ({"../up": "nsga2"}, "must be of letters, digits"),
        ({"a": {"population": 3}}, "a: the key 'algorithm' is missing"),
        ({"a": {"algorithm": "nsga2", "seed": 3}}, "a: there is no setting 'seed'"),
        ({"a": {"algorithm": "nsga2", "population": "3"}}, "a: population must be a int, got '3'"),
    ],
)
def test_refused_algorithms(algorithms: Any, message: str) -> None:
    with pytest.raises(SearchError, match=message):
        entries_of(algorithms)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": 0}, "seeds must be at least 1"),
        ({"seeds": [1, 1]}, "different whole numbers from 0"),
        ({"evaluations": 0}, "evaluations must be a whole number of at least 1, got 0"),
        ({"against": "local"}, "against = 'local' is none of the compared algorithms: nsga2, random"),
    ],
)
def test_refused_arguments(problem: TableProblem, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SearchError, match=message):
        compare(problem, **arguments)


def test_refused_problems(problem: TableProblem) -> None:
    with pytest.raises(SearchError, match="at least one problem"):
        compare([])
    from evo_qnas.compare import Case

    with pytest.raises(SearchError, match="problem 'a' is there 2 times"):
        compare([Case(name="a", problem=problem)] * 2)


def test_entry_is_plain() -> None:
    with pytest.raises(SearchError, match="must be of letters"):
        Entry(name="", algorithm="nsga2")
