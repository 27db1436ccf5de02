"""The sections of a run: the verdict, who beats whom, who is tied, and what the rounds did."""

from pathlib import Path
from typing import Any

from evo_qnas.report.operators import explain
from evo_qnas.report.validated import export_notes, notes, validated_section
from evo_qnas.report.verdict import verdict_section
from evo_qnas.summary import RunSummary, read_summary

REFERENCE = Path(__file__).resolve().parent.parent.parent / "results" / "reference"


def run_of(name: str = "camvid", **changes: Any) -> RunSummary:
    found = read_summary(REFERENCE / name / "summary.json")
    assert found is not None
    return RunSummary.model_validate({**found.to_dict(), **changes})


def having(run: RunSummary, **changes: Any) -> RunSummary:
    """The run with attributes of every network replaced."""
    networks = [{**network.to_dict(), **changes} for network in run.networks]
    return RunSummary.model_validate({**run.to_dict(), "networks": networks})


def cells(page: str) -> list[str]:
    return [part.split("</td>")[0].split(">")[-1] for part in page.split("<td")[1:]]


def test_the_verdict_has_saving_interval_ties_files_and_command(tmp_path: Path) -> None:
    (tmp_path / "networks" / "df6ff65a").mkdir(parents=True)
    (tmp_path / "networks" / "df6ff65a" / "model.onnx").touch()
    page = verdict_section(run_of(), tmp_path)
    for said in (
        "Best network df6ff65a: 61 % smaller than the INT8 teacher and 90 % smaller than the float one.",
        "<dd>50.5 ± 0.8 % (95 %: 49.0 to 52.0)</dd>",
        "<dd>+0.16 ± 0.18 points (95 %: -0.19 to +0.51) against the INT8 teacher, within noise</dd>",
        "<dt>Tied with</dt><dd>6b4e3669</dd>",
        "<code>networks/df6ff65a/model.onnx</code>",
        f"evo-qnas export {tmp_path} --network df6ff65a -o df6ff65a.onnx",
        '<li class="good"><strong>Good</strong> INT8 is 2.4 times as fast as float here',
    ):
        assert said in page, said
    assert "weights.safetensors" not in page, "a file that is not there"


def test_a_run_without_networks_has_a_verdict_too() -> None:
    assert "No network was validated." in verdict_section(run_of(networks=[], verdict=None), None)


def test_notes_tell_of_rounds_and_warnings() -> None:
    entry = {
        "round": 2,
        "predictor": "ridge",
        "proposed": 7,
        "measured_before": 8,
        "kendall_tau": {"ridge": [0.5, 0.1, 0.8]},
        "warning": "8 measured networks are too few",
        "hypervolume_before": 0.5,
        "hypervolume_after": 0.6,
    }
    text = " ".join(notes(run_of(rounds=[entry], warnings=["no file"])))
    assert "cannot tell them apart" in text
    assert "Round 2: 7 networks proposed by ridge, cross-validated Kendall tau 0.50 (0.10 to 0.80)." in text
    assert "8 measured networks are too few." in text
    assert "Warning: no file." in text
    assert "Round" not in " ".join(notes(run_of()))


def test_savings_are_against_the_int8_teacher_and_unknown_columns_are_left_out() -> None:
    found = cells(validated_section(run_of()))
    assert found[:5] == ["teacher INT8", "1,327,506", "-", "5.58", "-"]
    assert found[8:16] == [
        "f7326f09",
        "641,554",
        "52 %",
        "4.67",
        "16 %",
        "50.5 ± 0.8",
        "+0.10 ± 0.14",
        "beaten by 6b4e3669",
    ]
    page = validated_section(having(run_of(), latency_ms=None))
    assert '<th scope="col">saving</th>' in page
    assert ">faster<" not in page
    assert "within noise of a8b5056c" in validated_section(run_of("digits"))


def test_a_metric_that_is_no_share_keeps_its_numbers_and_unit() -> None:
    lead = {"metric": -0.25, "stderr": 0.125}
    run = run_of(metric={"name": "RMSE", "maximize": False, "unit": "mm"})
    page = validated_section(having(run, metric=3.25, metric_stderr=0.0625, minus_teacher_int8=lead))
    for head in ("RMSE, mm", "minus INT8, mm", "standard error, mm"):
        assert f">{head}</th>" in page
    for cell in ("3.25 ± 0.06", "-0.25 ± 0.12", "0.0625"):
        assert f">{cell}</td>" in page
    assert "points" not in page


def test_export_notes_name_the_reason() -> None:
    network = run_of().networks[0]
    assert export_notes(network) is None
    assert export_notes(network.having(onnx={"failed": "no translation"})) == "failed: no translation"
    assert export_notes(network.having(onnx={"failures": ["a", "b"]})) == "a; b"


def test_operators_are_explained_with_the_values_of_their_parameters() -> None:
    found = explain(["teacher", "ds_k5_d2", "pruned_67", "mine", "pruned_<b>"])
    assert set(found) == {"teacher", "ds_k5_d2", "pruned_67"}
    assert found["ds_k5_d2"].endswith("(kernel 5, depth 2)")
    assert "67 percent of the channels" in found["pruned_67"]
