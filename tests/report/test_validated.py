"""The section of validated networks says who beats whom, who is tied, and what the rounds did."""

from typing import Any

from evo_qnas.report.validated import _notes, standing, validated_section
from evo_qnas.summary import Metric

SHARE = Metric(name="accuracy", maximize=True, unit="%")


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
    text = " ".join(_notes(summary, SHARE))
    assert "cannot tell them apart" in text
    assert "Round 2: 7 networks proposed by ridge, cross-validated Kendall tau 0.50 (0.10 to 0.80)." in text
    assert "8 measured networks are too few." in text
    assert "Round" not in " ".join(_notes({"networks": [{}]}, SHARE))


def test_savings_are_told_against_the_int8_teacher_and_unknown_columns_are_left_out() -> None:
    def network(size: int, latency: float | None) -> dict[str, Any]:
        return {"id": f"n{size}", "size_bytes": size, "latency_ms": latency, "metric": 0.5, "predicted": {"score": 0.1}}

    def shown(latency: float | None) -> str:
        summary = {"metric": {"name": "mIoU"}, "teacher_int8": network(2000, latency), "networks": [network(750, 1.5)]}
        return validated_section(summary)

    cells = [part.split("</td>")[0].split(">")[-1] for part in shown(2.0).split("<td")[1:]]
    assert cells[:5] == ["teacher INT8", "2,000", "-", "2", "-"]
    assert [part for part in cells if part in {"62.5", "25"}] == ["62.5", "25"]
    assert '<th scope="col" class="number">mIoU after, %</th>' in shown(None)
    assert "faster, %" not in shown(None)
    assert "saving, %" in shown(None)


def test_a_metric_that_is_no_share_keeps_its_numbers_and_unit() -> None:
    lead = {"metric": -0.25, "stderr": 0.125}
    summary: dict[str, Any] = {
        "metric": {"name": "RMSE", "maximize": False, "unit": "mm"},
        "teacher_float": {"metric": 3.0},
        "networks": [{"id": "a", "metric": 3.25, "metric_stderr": 0.0625, "minus_teacher_int8": lead}],
    }
    page = validated_section(summary)
    for head in ("RMSE after, mm", "minus teacher INT8, mm", "standard error, mm"):
        assert f">{head}</th>" in page
    for cell in ("3.25", "-0.25 ± 0.125", "0.0625"):
        assert f">{cell}</td>" in page
    assert "The teacher in float has 3 mm." in page
    assert "%" not in page
    assert ">RMSE after</th>" in validated_section(summary | {"metric": {"name": "RMSE", "unit": ""}})
