"""Descriptions rebuild problems, fingerprints tell problems apart."""

import json
from typing import Any

import numpy as np
import pytest

from evo_qnas.errors import ProblemError
from evo_qnas.problem import Networks, TableProblem, objective
from evo_qnas.tables import Tables
from tests.problem.made import made_tables


def total_cost(networks: Networks) -> np.ndarray:
    return networks.column("cost").sum(axis=1)


@objective(unit="u", maximize=True, name="other name")
def decorated(networks: Networks) -> np.ndarray:
    return networks.column("good").max(axis=1)


HERE = __name__
SETTINGS: dict[str, Any] = {
    "objectives": ["score", "max:cost", total_cost, decorated],
    "constraints": ["0.1 <= mean:cost <= 3.3333333333333335", "distinct(operator) <= 2", "good >= -2", total_cost],
    "ties": [("b0", "b2")],
    "pins": {"b1": {"weight_bits": {4, 8}}},
    "forbidden": {"b2": {"operator": "skip"}},
}


def test_a_description_survives_json_and_rebuilds_the_problem() -> None:
    tables = made_tables(8)
    settings = SETTINGS | {
        "objectives": [*SETTINGS["objectives"][:2], decorated],
        "constraints": SETTINGS["constraints"],
    }
    problem = TableProblem(tables, **settings)
    rebuilt = TableProblem.from_description(tables, json.loads(json.dumps(problem.describe())), trusted=True)
    assert rebuilt.describe() == problem.describe()
    assert rebuilt.fingerprint == problem.fingerprint
    assert rebuilt.objectives == problem.objectives
    assert rebuilt.constraints == problem.constraints
    genomes = problem.space.sample(np.random.default_rng(0), 20)
    for one, other in zip(problem.evaluate(genomes), rebuilt.evaluate(genomes), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("function", [lambda networks: networks.column("cost").sum(axis=1)])
def test_functions_without_a_name_cannot_be_rebuilt(function: Any) -> None:
    tables = made_tables()
    said = TableProblem(tables, ["score", function]).describe()
    with pytest.raises(ProblemError, match="<lambda>' cannot be imported"):
        TableProblem.from_description(tables, said, trusted=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere.at.all:f", "objective 'nowhere.at.all:f' cannot be imported: No module named 'nowhere'"),
        ("json:nothing", "cannot be imported: module 'json' has no attribute 'nothing'"),
        ("json:__name__", "is a str, not a function of networks"),
    ],
)
def test_functions_by_name_must_exist(text: str, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        TableProblem(made_tables(), [text])


def test_functions_by_name_are_found() -> None:
    problem = TableProblem(made_tables(), [f"{HERE}:total_cost", f"{HERE}:decorated"], [f"{HERE}:total_cost"])
    assert [info.name for info in problem.objectives] == ["total_cost", "other name"]
    values, excess = problem.evaluate(np.array([[0, 0, 0]]))
    assert values[0, 0] == excess[0, 0]


def changed(tables: Tables, **parts: Any) -> Tables:
    columns = {name: [value.copy() for value in column.values] for name, column in tables.columns.items()}
    for name, block in parts.items():
        columns[name][block][0] += 1e-9
    return Tables.from_arrays(columns, blocks=tables.blocks)


def test_fingerprints_change_with_everything_that_counts() -> None:
    plain = changed(made_tables())
    base = TableProblem(plain, ["score"], ["cost <= 3"])
    others = [
        TableProblem(changed(plain, score=0), ["score"], ["cost <= 3"]),
        TableProblem(changed(plain, cost=2), ["score"], ["cost <= 3"]),
        TableProblem(plain, ["score", "cost"], ["cost <= 3"]),
        TableProblem(plain, ["score"], ["cost <= 3.0000000001"]),
        TableProblem(plain, ["score"], ["cost <= 3"], ties=[["b0", "b1"]]),
        TableProblem(plain, ["score"], ["cost <= 3"], pins={"b0": {"weight_bits": 4}}),
        TableProblem(plain, [total_cost], ["cost <= 3"]),
        TableProblem(plain, [objective(maximize=True)(total_cost)], ["cost <= 3"]),
    ]
    prints = [problem.fingerprint for problem in (base, *others)]
    assert len(set(prints)) == len(prints)
    assert TableProblem(changed(made_tables()), ["score"], ["cost <= 3"]).fingerprint == base.fingerprint
