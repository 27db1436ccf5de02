"""The section of validated networks says who beats whom, who is tied, and what the rounds did."""

from typing import Any

from evo_qnas.report.validated import _notes, standing, validated_section


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


def test_savings_are_told_against_the_int8_teacher_and_unknown_columns_are_left_out() -> None:
    def network(size: int, latency: float | None) -> dict[str, Any]:
        return {"id": f"n{size}", "size_bytes": size, "latency_ms": latency, "metric": 0.5, "predicted": {"score": 0.1}}

    def shown(latency: float | None) -> str:
        summary = {"metric": {"name": "mIoU"}, "teacher_int8": network(2000, latency), "networks": [network(750, 1.5)]}
        return validated_section(summary)

    cells = [part.split("</td>")[0].split(">")[-1] for part in shown(2.0).split("<td")[1:]]
    assert cells[:5] == ["teacher INT8", "2,000", "-", "2", "-"]
    assert [part for part in cells if part in {"62.5", "25"}] == ["62.5", "25"]
    assert "faster, %" not in shown(None)
    assert "saving, %" in shown(None)
