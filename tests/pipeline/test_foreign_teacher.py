"""A teacher that nobody here wrote: Hugging Face's MobileNetV2, cut by the names of its submodules."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.pipeline import load_card, run_card

CARD = """
task = "classification"
[data]
name = "arrays"
folder = "data"
[teacher]
architecture = "tests.pipeline.test_foreign_teacher:mobilenet"
[teacher.training]
epochs = 2
[blocks]
names = ["model.mobilenet_v2.layer.1", "model.mobilenet_v2.layer.6", "model.mobilenet_v2.layer.14"]
[[operators]]
card = "inverted_residual"
kernel = [3]
expansion = [2]
depth = [1]
[[operators]]
card = "identity"
[quantization]
weight_bits = [4, 8]
activation_bits = [8]
calibration_images = 32
[distillation]
steps = 10
[search]
evaluations = 60
population = 20
[validation]
random_networks = 3
[finetuning]
epochs = 1
"""


class Logits(nn.Module):
    """The classifier's logits alone: a network gives one tensor."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(pixel_values=pixels).logits
        return logits


def mobilenet() -> nn.Module:
    """Random weights, from the configuration alone; TensorFlow's padding is the library's own default."""
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    config = MobileNetV2Config(image_size=32, num_labels=10, depth_multiplier=0.35, finegrained_output=False)
    return Logits(MobileNetV2ForImageClassification(config))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_transformers_mobilenet_runs_from_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the package transformers: pip install transformers")
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for part, count in (("train", 96), ("search", 48), ("test", 48)):
        labels = np.arange(count) % 10
        pixels = rng.normal(size=(count, 3, 32, 32)) * 0.3 + labels[:, None, None, None] / 5
        np.savez(tmp_path / "data" / f"{part}.npz", pixels=pixels.astype(np.float32), labels=labels)
    (tmp_path / "foreign.toml").write_text(CARD)
    name, card = load_card(str(tmp_path / "foreign.toml"))
    summary = run_card(name, card, tmp_path / "run", jobs=1)
    saved = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert saved["teacher_int8"]["size_bytes"] == summary["teacher_int8"]["size_bytes"] > 100_000
    assert len(summary["networks"]) >= 5
    operators = {row["operator"] for entry in summary["networks"] for row in entry["blocks"]}
    assert {"ir_k3_e2_d1", "teacher"} & operators
    assert all(entry["predicted"]["size_bytes"] == entry["size_bytes"] for entry in summary["networks"])
