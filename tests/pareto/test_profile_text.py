"""The text of a profile, to the letter."""

from evo_qnas.pareto.profile import _aligned


def test_three_text_columns_stand_left_and_numbers_right() -> None:
    rows = [["column", "unit", "way", "least", "most"], ["a", "B", "min", "7", "1,000"]]
    assert _aligned(rows) == ["column  unit  way  least   most", "a       B     min      7  1,000"]
