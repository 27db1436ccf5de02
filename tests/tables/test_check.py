"""Each rule of the check finds its case, names it, and leaves sound tables alone."""

import re
from typing import Any

import numpy as np
import pytest

from evo_qnas.tables import Block, Tables


def sound(scores: tuple[float, ...] = (4.0, 2.0, 8.0, 5.0), **more: Any) -> Tables:
    """Two blocks of two operators at 4 and 8 bits; more bits score better and cost more."""
    settings: dict[str, Any] = {
        "blocks": [
            Block(
                name=name,
                operators=("a", "a", "b", "b"),
                weight_bits=np.array([4, 8, 4, 8]),
                activation_bits=np.array([4, 8, 4, 8]),
            )
            for name in ("one", "two")
        ],
        "units": {"size_bytes": "bytes"},
    }
    columns = {"score": [np.array(scores)] * 2, "size_bytes": [np.array([40.0, 80.0, 10.0, 20.0])] * 2}
    columns.update(more.pop("columns", {}))
    return Tables.from_arrays(columns, **{**settings, **more})


def rules(tables: Tables) -> list[tuple[str, str]]:
    return [(finding.severity, finding.rule) for finding in tables.check()]


def texts(tables: Tables, rule: str) -> list[str]:
    return [finding.text for finding in tables.check() if finding.rule == rule]


def test_nothing_is_found_in_sound_tables() -> None:
    assert sound().check() == []


def test_negative_scores_are_allowed() -> None:
    assert sound((-1.0, -2.0, 3.0, 1.0)).check() == []


@pytest.mark.parametrize(
    ("column", "severity", "rule", "words"),
    [
        ({"score": [4, np.nan, 8, 5.0]}, "error", "nan", "'score' has 2 NaN, first block 'one', choice a 8/8"),
        ({"score": [4, 2, np.inf, 5.0]}, "error", "infinite", "2 infinite values, first block 'one', choice b 4/4"),
        (
            {"size_bytes": [40, 80, 10, -1.0]},
            "error",
            "negative-cost",
            "cost column 'size_bytes' has 2 negative values",
        ),
        ({"Score": [4, 2, 8, 5.0]}, "warning", "duplicate-name", "columns 'score' and 'Score' differ in case"),
        ({"score": [4.0, 4.5, 8, 5]}, "warning", "fewer-bits-better", "2 choices score .* block 'one', choice a 8/8"),
        ({"score": [4.0, 2, 1, 0.5]}, "info", "dominated-choice", "4 of 8 choices are dominated"),
    ],
)
def test_each_rule_about_columns(column: Any, severity: str, rule: str, words: str) -> None:
    tables = sound(columns={name: [np.array(values)] * 2 for name, values in column.items()})
    assert (severity, rule) in rules(tables)
    assert re.search(words, texts(tables, rule)[0])


def test_noise_is_no_proof_that_fewer_bits_are_better() -> None:
    scores = {"score": [np.array([4.0, 4.5, 8, 5])] * 2}
    for error, found in ((0.2, False), (0.1, True)):
        tables = sound(columns=scores, stderr={"score": [np.full(4, error)] * 2})
        assert (("warning", "fewer-bits-better") in rules(tables)) == found


def test_a_maximised_score_counts_the_other_way() -> None:
    tables = sound(directions={"score": "maximize"})
    assert ("warning", "fewer-bits-better") in rules(tables)


def made(labels: list[list[tuple[str, int]]], **more: Any) -> Tables:
    blocks = [
        Block(
            name=f"b{index}",
            operators=tuple(label[0] for label in part),
            weight_bits=np.array([label[1] for label in part]),
            activation_bits=np.array([label[1] for label in part]),
        )
        for index, part in enumerate(labels)
    ]
    return Tables.from_arrays({"cost": [np.arange(len(part), dtype=float) for part in labels]}, blocks=blocks, **more)


def test_rules_about_choices() -> None:
    twice = made([[("a", 4), ("a", 4)]])
    assert texts(twice, "duplicate-choice") == ["block 'b0' has the choice a 4/4 2 times"]
    missing = made([[("a", 4), ("a", 8), ("b", 4)]])
    assert texts(missing, "missing-choice") == [
        "1 blocks have no choice for 1 pairs of their operators and bits, first block 'b0': b 8/8"
    ]
    unequal = made([[("a", 4)], [("a", 4), ("a", 8)]])
    assert rules(unequal) == [("info", "unequal-counts")]
    assert texts(unequal, "unequal-counts") == ["blocks have between 1 and 2 choices"]
    apart = made([[("a", 4)], [("b", 4)]], ties=[["b0", "b1"]])
    assert texts(apart, "tie") == ["the tied blocks b0, b1 have no choice in common"]


def test_standard_errors_must_be_numbers() -> None:
    tables = sound(stderr={"score": [np.array([0.1, -0.1, np.nan, 0])] * 2})
    assert texts(tables, "standard-error") == [
        "column 'score' has 4 standard errors that are negative or NaN, first block 'one', choice a 8/8"
    ]


def test_errors_come_first() -> None:
    tables = sound(columns={"score": [np.array([4.0, 2, 1, np.nan])] * 2})
    severities = [finding.severity for finding in tables.check()]
    assert severities == sorted(severities, key=("error", "warning", "info").index)
    assert severities[0] == "error"


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("latency_ms", "1", "'latency_ms' has the unit '1', its name says 'ms'"),
        ("latency_ms@pi4", "us", "'latency_ms@pi4' has the unit 'us', its name says 'ms'"),
        ("memory_mb", "1", "'memory_mb' has the unit '1', its name says 'MB'"),
        ("size_bytes", "B", ""),
    ],
)
def test_a_unit_that_contradicts_the_name_is_a_finding(name: str, unit: str, expected: str) -> None:
    tables = Tables.from_arrays({name: [np.array([4.0, 2.0])]}, units={name: unit})
    texts = [finding.text for finding in tables.check() if finding.rule == "unit"]
    assert texts == ([f"column {expected}"] if expected else [])


def test_more_columns_than_points_can_have() -> None:
    """Dominance over more than 255 columns says nothing, and moocore refuses it."""
    tables = Tables.from_arrays({f"c{index}": [np.array([1.0, 2.0])] for index in range(300)})
    assert "dominated-choice" not in {finding.rule for finding in tables.check()}
