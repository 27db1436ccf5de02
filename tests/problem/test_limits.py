"""Limits on terms of tables, from text."""

import numpy as np
import pytest

from evo_qnas.errors import ProblemError
from evo_qnas.problem.quantities import TermLimit, parse_constraint
from evo_qnas.problem.terms import parse_term
from evo_qnas.tables import Tables
from tests.problem.made import made_tables


@pytest.mark.parametrize(
    ("text", "term", "low", "high"),
    [
        ("cost <= 4", "cost", -np.inf, 4.0),
        ("cost<=4", "cost", -np.inf, 4.0),
        ("  cost  >=  -1e3 ", "cost", -1000.0, np.inf),
        ("2 <= cost <= 4", "cost", 2.0, 4.0),
        ("4 >= cost >= 2", "cost", 2.0, 4.0),
        ("2 <= cost <= 2", "cost", 2.0, 2.0),
        ("max:cost <= 30_000", "max:cost", -np.inf, 30000.0),
        ("sum:cost <= 1", "cost", -np.inf, 1.0),
        ("distinct( operator ) <= 3", "distinct(operator)", -np.inf, 3.0),
    ],
)
def test_forms(text: str, term: str, low: float, high: float) -> None:
    found = parse_constraint(text, made_tables())
    assert isinstance(found, TermLimit)
    assert (found.term.text, found.limit.name, found.limit.low, found.limit.high) == (term, term, low, high)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cost < 4", "use <= or >="),
        ("cost == 4", "use <= or >="),
        ("cost", "cannot be read"),
        ("1 <= cost >= 2", "cannot be read"),
        ("4 <= cost <= 2", "the range is empty, 4 lies above 2"),
        ("cost <= four", "'four' is no number"),
        ("cost <= nan", "the number must be finite"),
        ("cost <= ", "'' is no number"),
        ("costs <= 4", "no column 'costs'"),
        ("median:cost <= 4", "before the colon stands sum, mean, max, worst"),
        ("distinct(cost) <= 4", "distinct takes one of operator"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        parse_constraint(text, made_tables())


def test_columns_may_have_brackets_in_their_names() -> None:
    tables = Tables.from_arrays({"latency (ms)": [np.array([1.0, 2.0])] * 2, "distinct(a": [np.array([1.0, 3.0])] * 2})
    assert parse_term("latency (ms)", tables).text == "latency (ms)"
    with pytest.raises(ProblemError, match=r"the tables have no column 'distinct\(operator'"):
        parse_term("distinct(operator", tables)
    assert parse_term("distinct( operator )", tables).kind == "distinct"
