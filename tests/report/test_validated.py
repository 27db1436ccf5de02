"""The section of validated networks says who beats whom, who is tied, and what the rounds did."""

from typing import Any

from evo_qnas.report.validated import _notes, standing


def test_standing_and_notes() -> None:
    assert standing({"dominated_by": None, "round": 2}) == "front, round 2"
    assert standing({"dominated_by": "abc", "round": None}) == "beaten by abc"
    assert standing({}) is None
    summary: dict[str, Any] = {
        "networks": [{"tied_with": ["a"]}],
        "rounds": [
            {
                "round": 2,
                "predictor": "ridge",
                "proposed": 7,
                "kendall_tau": {"ridge": [0.5, 0.1, 0.8]},
                "warning": "8 measured networks are too few",
            }
        ],
    }
    text = " ".join(_notes(summary, "accuracy"))
    assert "cannot tell them apart" in text
    assert "Round 2: 7 networks proposed by ridge, cross-validated Kendall tau 0.50 (0.10 to 0.80)." in text
    assert "8 measured networks are too few." in text
    assert "Round" not in " ".join(_notes({"networks": [{}]}, "accuracy"))
