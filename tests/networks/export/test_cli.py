"""`evo-qnas export` on a run folder."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from evo_qnas.cli import app
from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.networks.export.onnx.runtime import OnnxRuntime
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.tasks.classification import accuracy
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.context import to_json
from evo_qnas.pipeline.stored import export_stored, find_network, open_run, restore_network
from evo_qnas.pipeline.validation import build_network
from evo_qnas.summary import BlockChoice
from tests.pipeline.conftest import SMALL

IDENTITY = "0123abcd"


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A trained teacher and one network of its own blocks, stored as a run stores it; without the stages between."""
    folder = tmp_path_factory.mktemp("run")
    name, card = load_card("digits", changes=SMALL, seed=5)
    run_card(name, card, folder, jobs=1, until="teacher")
    context = open_run(folder)
    choices = [
        BlockChoice(block="stages.0", operator="teacher", weight_bits=3, activation_bits=8),
        BlockChoice(block="stages.1", operator="teacher", weight_bits=8, activation_bits=5),
    ]
    network = build_network(context, choices)
    network.layers[2].scale.theta.data += 0.1
    size = costs_of(network, 8).size_bytes
    entry = {
        "blocks": [choice.to_dict() for choice in choices],
        "metric": accuracy(network, context.splits.test),
        "size_bytes": size,
    }
    for identity in (IDENTITY, "teacher_int8"):
        made = folder / "networks" / identity
        save_weights(network.stored(), made / "weights.safetensors", {"fingerprint": identity})
        write_text(made / "network.json", to_json({"fingerprint": identity, **entry}))
    return folder, entry


def test_a_stored_network_is_exported_with_its_accuracy(validated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, entry = validated
    context = open_run(folder)
    network = restore_network(context, find_network(context, IDENTITY))
    with torch.no_grad():
        assert accuracy(network, context.splits.test) == entry["metric"]
    path = tmp_path / "m.onnx"
    result = CliRunner().invoke(app, ["export", str(folder), "--network", IDENTITY, "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert f"{100 * entry['metric']:.2f} %" in result.output
    assert f"{entry['size_bytes']:,} B" in result.output
    assert "bit for bit" in result.output
    assert path.is_file()


def test_a_failed_check_is_printed_and_ends_with_one(
    validated: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = replace(OnnxRuntime.tolerance, agreement_few_bits=1.1)
    monkeypatch.setattr(OnnxRuntime, "tolerance", strict)
    result = CliRunner().invoke(
        app, ["export", str(validated[0]), "--network", IDENTITY, "-o", str(tmp_path / "m.onnx")]
    )
    assert result.exit_code == 1
    assert "failed: agreement with torch" in result.output


def test_what_is_not_there_is_named(validated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = validated
    with pytest.raises(CardError, match=r"is no run folder: there is no .*card\.toml"):
        find_network(open_run(tmp_path), "teacher_int8")
    with pytest.raises(CardError, match=f"has no network '{IDENTITY}x'; the nearest are: {IDENTITY}"):
        find_network(open_run(folder), f"{IDENTITY}x")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = copy / "networks" / IDENTITY / "weights.safetensors"
    shutil.copy(copy / "networks" / "teacher_int8" / "weights.safetensors", weights)
    with pytest.raises(CardError, match="does not belong to"):
        find_network(open_run(copy), IDENTITY)
    (copy / "networks" / IDENTITY / "network.json").write_text("{")
    with pytest.raises(CardError, match="is damaged: delete it and run the card again"):
        find_network(open_run(copy), IDENTITY)
    shutil.rmtree(copy / "networks")
    with pytest.raises(CardError, match="holds no validated networks"):
        find_network(open_run(copy), IDENTITY)


@pytest.mark.slow
def test_every_network_of_a_run_passes_all_checks(tmp_path: Path) -> None:
    name, card = load_card("digits", changes=[*SMALL, "validation.random_networks=0"], seed=5)
    summary = run_card(name, card, tmp_path / "run", jobs=1)
    for entry in summary["networks"]:
        exported = export_stored(tmp_path / "run", entry["id"], tmp_path / "m.onnx")
        assert exported["torch_metric"] == entry["metric"]
        assert exported["packed_bytes"] == entry["size_bytes"]
        assert exported["failures"] == []


def test_blame_names_the_layer_that_was_harmed(validated: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """The stored network has a wrong scale, the one before fine-tuning has not: its few bits are to blame."""
    folder, _ = validated
    command = ["blame", str(folder), "--network", IDENTITY, "--examples", "32", "--top", "3"]
    result = CliRunner().invoke(app, [*command, "--finetuned", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    context = open_run(folder)
    harmed = restore_network(context, find_network(context, IDENTITY)).layers[2]
    worst = [part for part in found["parts"] if part["kind"] == "weights"][:2]
    assert harmed.name in {part["name"] for part in worst}
    result = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "noise.svg")])
    assert result.exit_code == 0, result.output
    first, *_ = (tmp_path / "noise.csv").read_text().splitlines()[1:]
    assert first.startswith("stages.0")
    assert ",weights,3," in first
    assert "stages.0" in result.output
    assert (tmp_path / "noise.svg").is_file()
    result = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "noise.txt")])
    assert result.exit_code == 2 or "ends with .png, .svg or .pdf" in str(result.exception)
