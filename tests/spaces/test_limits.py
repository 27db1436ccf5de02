"""Limits by the name of their quantity: read once, written back without loss."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evo_qnas.errors import ProblemError
from evo_qnas.spaces import Limit, LimitSide, is_limit, parse_limit

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(low=NUMBERS, high=NUMBERS, ends=st.sampled_from(["low", "high", "both"]))
def test_a_limit_is_read_back_from_its_text(low: float, high: float, ends: str) -> None:
    low, high = min(low, high), max(low, high)
    limit = Limit(
        name="max:latency_ms@pi4",
        low=-np.inf if ends == "high" else low,
        high=np.inf if ends == "low" else high,
    )
    assert is_limit(limit.text)
    assert parse_limit(limit.text) == limit


def test_sides_upper_first_with_their_bounds_and_quantities() -> None:
    upper, lower = parse_limit("2 <= cost <= 5").sides
    assert (upper.text, upper.bound) == ("cost <= 5", 5.0)
    assert (lower.text, lower.bound) == ("cost >= 2", -2.0)
    # A cost of 6 exceeds the upper end by 1; one of 0.5 lies below the lower end by 1.5.
    assert upper.quantity(6.0 - upper.bound) == 6.0
    assert lower.quantity(-0.5 - lower.bound) == 0.5
    assert LimitSide(name="cost", sign=1.0, number=0.1 + 0.2).text == "cost <= 0.3"


def test_holds_includes_both_ends() -> None:
    limit = parse_limit("4 >= cost >= 2")
    assert limit.holds(np.array([1.9, 2.0, 3.0, 4.0, 4.1])).tolist() == [False, True, True, True, False]
    assert parse_limit("cost >= 2").holds(np.array([1.0, 1e300])).tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cost < 4", r"limit 'cost < 4': use <= or >="),
        ("cost", r"limit 'cost' cannot be read"),
        ("4 <= cost <= 2", r"the range is empty, 4 lies above 2"),
        ("cost <= 1e999", r"the number must be finite"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        parse_limit(text)
