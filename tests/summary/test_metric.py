"""A metric as people are shown it, and its direction."""

from typing import Any

import pytest

from evo_qnas.summary import Metric


@pytest.mark.parametrize(
    ("unit", "value", "text", "label"),
    [
        ("%", 0.97128, "97.13 %", "after, %"),
        ("%", 0.0, "0.00 %", "after, %"),
        ("dB", 28.3149, "28.31 dB", "after, dB"),
        ("", 0.0012345, "0.001234", "after"),
    ],
)
def test_values_and_labels_have_the_unit(unit: str, value: float, text: str, label: str) -> None:
    metric = Metric(name="name", maximize=True, unit=unit)
    assert metric.format(value) == text
    assert metric.label("after") == label


@pytest.mark.parametrize("maximize", [True, False])
def test_worse_follows_the_direction_and_equal_is_not_worse(maximize: bool) -> None:
    metric = Metric(name="name", maximize=maximize, unit="")
    assert metric.is_worse(1.0, 2.0) is maximize
    assert metric.is_worse(2.0, 1.0) is not maximize
    assert not metric.is_worse(1.0, 1.0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"name": "mIoU", "maximize": True}, ("mIoU", True, "%")),
        ({"name": "RMSE", "maximize": False, "unit": ""}, ("RMSE", False, "")),
        ({"name": 3, "maximize": None, "unit": None}, ("3", True, "%")),
    ],
)
def test_summaries_of_any_age_are_read(content: dict[str, Any], expected: tuple[str, bool, str]) -> None:
    metric = Metric.of(content)
    assert (metric.name, metric.maximize, metric.unit) == expected


def test_a_metric_without_name_is_none() -> None:
    with pytest.raises(KeyError, match=r"name"):
        Metric.of({"unit": "%"})
