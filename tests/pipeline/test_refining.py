"""`[refinement]` in a run: files, fingerprints, going on after a kill, and what networks are built from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from evo_qnas.networks.models.weights import load_weights
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.validation import build_network
from evo_qnas.summary import BlockChoice
from evo_qnas.tables import Tables
from tests.pipeline.conftest import SMALL

CHANGES = [
    *SMALL,
    'blocks.names=["stages.0"]',
    'operators=[{card="depthwise_separable",kernel=[3],depth=[1]}]',
    "quantization.weight_bits=[2,8]",
    "quantization.activation_bits=[8]",
]
REFINED = [*CHANGES, "refinement.steps=3"]


def context_of(folder: Path, changes: list[str]) -> RunContext:
    name, card = load_card("digits", changes=changes, seed=5)
    return RunContext(name=name, card=card, folder=folder)


def run(folder: Path, changes: list[str], **options: int) -> dict[str, bytes]:
    """Files of the tables' stage."""
    name, card = load_card("digits", changes=changes, seed=5)
    run_card(name, card, folder, until="tables", **options)
    return {str(path): path.read_bytes() for path in sorted((folder / "blocks").rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables, dict[str, bytes]]:
    """A run without refinement, whose folder is then taken over by one with it."""
    folder = tmp_path_factory.mktemp("refined")
    run(folder, CHANGES, jobs=1)
    plain = Tables.load(folder / "tables.h5")
    name, card = load_card("digits", changes=REFINED, seed=5)
    run_card(name, card, folder, until="tables", jobs=1, anew=True)
    return folder, plain, run(folder, REFINED, jobs=1)


def test_refined_choices_alone_get_other_scores(finished: tuple[Path, Tables, dict[str, bytes]]) -> None:
    folder, plain, _ = finished
    tables = Tables.load(folder / "tables.h5")
    names = {path.name for path in (folder / "blocks" / "stages.0" / "refined").iterdir()}
    assert names == {"teacher-w2.safetensors", "ds_k3_d1-w2.safetensors"}
    few = tables.blocks[0].weight_bits == 2
    before, after = (np.array(t.column("score").values[0]) for t in (plain, tables))
    assert (before[few] != after[few]).all()
    assert (before[~few] == after[~few]).all()
    assert (tables.column("size_bytes").values[0] == plain.column("size_bytes").values[0]).all()
    assert "refined before it at 2 weight bits" in tables.column("score").source
    assert "refined" not in plain.column("score").source


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_was_killed_ends_with_the_same_files(
    finished: tuple[Path, Tables, dict[str, bytes]], jobs: int
) -> None:
    folder, _, files = finished
    for name in (
        "tables.h5",
        "blocks/tables.json",
        "blocks/stages.0/choices.json",
        "blocks/stages.0/refined/ds_k3_d1-w2.safetensors",
    ):
        (folder / name).unlink()
    assert run(folder, REFINED, jobs=jobs) == files


def test_networks_are_built_from_refined_weights(finished: tuple[Path, Tables, dict[str, bytes]]) -> None:
    folder, _, _ = finished
    context = context_of(folder, REFINED)
    row = BlockChoice(block="stages.0", operator="ds_k3_d1", weight_bits=2, activation_bits=8)
    tensors, _ = load_weights(folder / "blocks" / "stages.0" / "refined" / "ds_k3_d1-w2.safetensors")
    first = next(layer for layer in build_network(context, [row]).layers if layer.block)
    codes = torch.clamp(torch.round(tensors["000.weight"] / tensors["000.scale"].view(-1, 1, 1, 1)), -2, 1)
    assert first.kept is not None
    assert float((first.weight_codes() == codes).float().mean()) > 0.99
    eight = build_network(context, [row.model_copy(update={"weight_bits": 8})])
    assert all(layer.kept is None for layer in eight.layers)


def test_what_tables_are_made_from_tells_of_refinement(tmp_path: Path) -> None:
    prints = {
        context_of(tmp_path, [*CHANGES, *changes]).fingerprints.tables
        for changes in ([], ["refinement.steps=3"], ["refinement.steps=4"], ["refinement.most_weight_bits=2"])
    }
    assert len(prints) == 4
    assert "refinement" not in context_of(tmp_path, CHANGES).card.model_dump(exclude_none=True)
