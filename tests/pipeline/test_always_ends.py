"""A run ends with its summary, front, pictures and report, whatever goes wrong on the way."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from evo_qnas.errors import DivergenceError
from evo_qnas.networks.export import RUNTIMES
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stages import blocks, export
from evo_qnas.pipeline.validation import validation
from evo_qnas.tables import Tables


@pytest.fixture
def unlucky(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that does not learn, networks that diverge in fine-tuning, and files that cannot be made."""
    distil, finetune, write = blocks.distill, validation.finetune, export.export
    calls = {"finetune": 0, "export": 0}

    def distil_badly(candidates: Mapping[str, nn.Module], *arguments: Any, **keywords: Any) -> dict[str, float]:
        losses = distil(candidates, *arguments, **keywords)
        if "identity" not in candidates:  # the first block
            error = DivergenceError("operator 'ds_k3_d1' is no number in step 3")
            error.losses, error.diverged = {}, {"ds_k3_d1": "its loss is no number in step 3 of 4"}
            raise error
        return losses

    def finetune_badly(*arguments: Any, **keywords: Any) -> None:
        finetune(*arguments, **keywords)
        calls["finetune"] += 1
        if calls["finetune"] == 2:
            raise DivergenceError("the loss of the fine-tuned network is nan in step 7")

    def export_badly(*arguments: Any, **keywords: Any) -> dict[str, Any]:
        calls["export"] += 1
        if calls["export"] == 3:
            raise RuntimeError("the runtime says no\nand more that nobody wants to read")
        return write(*arguments, **keywords)

    monkeypatch.setattr(blocks, "distill", distil_badly)
    monkeypatch.setattr(validation, "finetune", finetune_badly)
    monkeypatch.setattr(export, "export", export_badly)


def run(folder: Path, changes: list[str]) -> dict[str, Any]:
    name, card = load_card("digits", changes=changes, seed=5)
    return run_card(name, card, folder, jobs=1)


@pytest.mark.skipif(bool(RUNTIMES.get("onnx").missing()), reason="needs the extra onnx")
def test_a_run_ends_whatever_goes_wrong(
    tmp_path: Path, small: list[str], unlucky: None, caplog: pytest.LogCaptureFixture
) -> None:
    summary = run(tmp_path, small)
    for name in ("summary.json", "front.csv", "front.png", "report.html"):
        assert (tmp_path / name).is_file(), name
    left_out, finetuned, exported = summary["warnings"]
    assert left_out == "operator 'ds_k3_d1' is left out of block 'stages.0': its loss is no number in step 3 of 4"
    assert "measured without fine-tuning: the loss of the fine-tuned network is nan" in finetuned
    assert exported.endswith("has no ONNX file: RuntimeError: the runtime says no")
    assert set(summary["warnings"]) <= {record.message for record in caplog.records}
    tables = Tables.load(tmp_path / "tables.h5")
    assert [set(block.operators) for block in tables.blocks] == [{"teacher"}, {"teacher", "ds_k3_d1", "identity"}]
    entries = {entry["id"]: entry for entry in summary["networks"]}
    failed = [entry for entry in entries.values() if "failed" in entry["onnx"]]
    assert [entry["onnx"] for entry in failed] == [{"failed": "RuntimeError: the runtime says no"}]
    assert failed[0]["latency_ms"] is None
    assert not (tmp_path / "networks" / failed[0]["id"] / "model.onnx").exists()
    diverged = [entry for entry in entries.values() if entry["warning"]]
    assert len(diverged) == 1
    # Not fine-tuned: what differs from before is rounding in integers alone.
    assert diverged[0]["metric"] == pytest.approx(diverged[0]["metric_before_finetune"], abs=0.02)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "failed: RuntimeError: the runtime says no" in page
    assert "its loss is no number in step 3 of 4" in page
    # A second run finds everything as it is, what went wrong too.
    again = run(tmp_path, small)
    assert {**again, "seconds": 0} == {**summary, "seconds": 0}
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == again


def test_a_score_that_is_no_number_leaves_its_operator_out(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from evo_qnas.pipeline.stages import tables as stage

    score = stage.score_operator

    def badly(operator: str, *arguments: Any, **keywords: Any) -> Any:
        scores = score(operator, *arguments, **keywords)
        return [replace(scores[0], score=float("nan")), *scores[1:]] if operator == "ds_k3_d1" else scores

    monkeypatch.setattr(stage, "score_operator", badly)
    name, card = load_card("digits", changes=small, seed=5)
    run_card(name, card, tmp_path, jobs=1, until="tables")
    tables = Tables.load(tmp_path / "tables.h5")
    assert [set(block.operators) for block in tables.blocks] == [{"teacher"}, {"teacher", "identity"}]
    context = RunContext(name=name, card=card, folder=tmp_path.resolve())
    assert [(each.block, each.operator) for each in context.diverged] == [
        ("stages.0", "ds_k3_d1"),
        ("stages.1", "ds_k3_d1"),
    ]
    assert context.candidates.labels("stages.1") == ("identity",)


@pytest.mark.parametrize("killed", [False, True])
def test_an_in_context_score_that_is_no_number_leaves_its_operator_out(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """A killed run has the files of the stage, and tables without their column."""
    from evo_qnas.pipeline.stages import in_context as stage

    score, save = stage.score_in_context, Tables.save

    def badly(teacher: nn.Module, block: str, operator: str, *arguments: Any, **keywords: Any) -> Any:
        scores = score(teacher, block, operator, *arguments, **keywords)
        odd = (block, operator) == ("stages.0", "ds_k3_d1")
        return [*scores[:-1], (float("inf"), float("nan"))] if odd else scores

    def kill(tables: Tables, path: Path) -> None:
        if stage.COLUMN in tables.columns:
            raise KeyboardInterrupt("a kill")
        save(tables, path)

    monkeypatch.setattr(stage, "score_in_context", badly)
    name, card = load_card("digits", changes=[*small, 'in_context.measure="kl"'], seed=5)
    if killed:
        monkeypatch.setattr(Tables, "save", kill)
        with pytest.raises(KeyboardInterrupt, match="a kill"):
            run_card(name, card, tmp_path, jobs=1, until="tables")
        monkeypatch.setattr(Tables, "save", save)
        assert "ds_k3_d1" in Tables.load(tmp_path / "tables.h5").blocks[0].operators
    run_card(name, card, tmp_path, jobs=1, until="tables")
    tables = Tables.load(tmp_path / "tables.h5")
    assert [set(block.operators) for block in tables.blocks] == [{"teacher"}, {"teacher", "ds_k3_d1", "identity"}]
    assert all(np.isfinite(values).all() for column in tables.columns.values() for values in column.values)
    assert set(tables.baselines) == {"teacher_int8", "teacher_int4"}
    context = RunContext(name=name, card=card, folder=tmp_path.resolve())
    assert [each.sentence for each in context.diverged] == [
        "operator 'ds_k3_d1' is left out of block 'stages.0': its score inside the network is inf"
    ]
