"""Damaged `network.json` files of a run folder."""

from pathlib import Path

import pytest
import torch

from evo_qnas.errors import CardError
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.context import RunContext, to_json
from evo_qnas.pipeline.stored import find_network
from evo_qnas.pipeline.validation.validation import _measured
from evo_qnas.summary import ValidatedNetwork

NETWORK = ValidatedNetwork(
    id="a",
    genome=(0,),
    blocks=(),
    metric_before_finetune=0.5,
    metric=0.5,
    metric_stderr=None,
    metric_search_split=0.5,
    size_bytes=3,
)


def folder_with(folder: Path, text: str) -> Path:
    """A network's folder with this `network.json`, and weights that belong to it."""
    folder.mkdir(parents=True)
    save_weights({"a": torch.zeros(1)}, folder / "weights.safetensors", {"fingerprint": "f"})
    (folder / "network.json").write_text(text)
    return folder


def test_a_network_that_is_right_is_read(tmp_path: Path) -> None:
    text = to_json({"fingerprint": "f", **NETWORK.measured()})
    assert _measured(folder_with(tmp_path / "a", text), "f") == NETWORK
    assert _measured(tmp_path / "a", "other") is None


@pytest.mark.parametrize(
    "text",
    [
        to_json({"fingerprint": "f"}),
        to_json({"fingerprint": "f", **NETWORK.measured(), "metric": "much"}),
        to_json({"fingerprint": "f", **NETWORK.measured(), "blocks": None}),
        "[" * 100_000,
        "1" * 6000,
        "null",
    ],
)
def test_a_damaged_network_is_made_again_and_not_exported(tmp_path: Path, text: str) -> None:
    name, card = load_card("digits")
    context = RunContext(name=name, card=card, folder=tmp_path)
    folder_with(context.paths.network("a"), text)
    assert _measured(context.paths.network("a"), "f") is None
    if "much" not in text:
        with pytest.raises(CardError, match=r"network\.json is (damaged: delete it|no JSON)"):
            find_network(context, "a")
