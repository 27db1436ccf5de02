"""A whole run on label maps, with two searches over one set of tables, and the shipped cards."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evo_qnas.archive import Archive
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.models.teachers import build_teacher
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.tables import Tables

CARD = """
task = "segmentation"
seed = 3

[data]
name = "camvid"
folder = "images"

[teacher]
architecture = "deeplabv3"

[teacher.parameters]
classes = 11
stem = 8
stages = [
  { channels = 8, expansion = 1, depth = 1, stride = 1 },
  { channels = 12, expansion = 2, depth = 1, stride = 2 },
  { channels = 16, expansion = 4, depth = 2, stride = 1, dilation = 2 },
]
aspp = { channels = 16, rates = [1, 2] }

[teacher.training]
epochs = 15
batch_size = 8
learning_rate = 1e-2
average = 0.9
validate_every = 3

[teacher.training.augmentation]
crop = [16, 24]

[blocks]
names = ["stages.1", "stages.2", "aspp"]

[[operators]]
card = "inverted_residual"
kernel = [3]
expansion = [2]
depth = [1]

[[operators]]
card = "separable_pyramid"
rate = [1]
divide = [2]

[quantization]
weight_bits = [2, 4, 8]
activation_bits = [8]
calibration_images = 8

[distillation]
steps = 20
batch_size = 8

[search]
evaluations = 300
population = 20

[searches.int8]
objectives = ["score", "macs"]
pins = { "*" = { weight_bits = 8, activation_bits = 8 } }
evaluations = 200
population = 20
pick_by = "macs"
pick_shares = [0.8]

[validation]
size_shares = [0.6]
least_picks = 2
random_networks = 8

[finetuning]
epochs = 1
batch_size = 8

[finetuning.augmentation]
flip = true
"""


def write_scenes(folder: Path) -> None:
    """CamVid's layout: sky (0) over road (3), a car (8) between them, some pixels without label (11)."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 8), ("test", 8)):
        for index in range(count):
            horizon, left = int(rng.integers(8, 16)), int(rng.integers(4, 20))
            pixels = rng.integers(0, 60, (24, 32, 3))
            labels = np.zeros((24, 32))
            pixels[:horizon, :, 2] += 150
            pixels[horizon:, :, 1] += 120
            labels[horizon:] = 3
            pixels[horizon - 4 : horizon + 4, left : left + 8, 0] += 190
            labels[horizon - 4 : horizon + 4, left : left + 8] = 8
            labels[:, :2] = 11
            for place, values in ((folder / part, pixels), (folder / f"{part}annot", labels)):
                place.mkdir(parents=True, exist_ok=True)
                Image.fromarray(values.astype(np.uint8)).save(place / f"{part}_{index:02}.png")


@pytest.mark.slow
def test_a_segmentation_run_searches_its_tables_twice(tmp_path: Path) -> None:
    write_scenes(tmp_path / "images")
    (tmp_path / "scenes.toml").write_text(CARD, encoding="utf-8")
    name, card = load_card(str(tmp_path / "scenes.toml"))
    summary = run_card(name, card, tmp_path / "run", jobs=1)
    assert summary["metric"] == {"name": "mIoU", "maximize": True, "unit": "%"}
    assert summary["teacher_float"]["metric"] > 0.25
    assert summary["searches"]["int8"]["objectives"] == ["score", "macs"]
    assert "better_half" in summary["rank_correlation"]
    whole = {"": summary["teacher_int8"]["size_bytes"]}
    tables = Tables.load(tmp_path / "run" / "tables.h5")
    int8 = np.array([tables.baselines["teacher_int8"]])
    for entry in summary["networks"]:
        assert entry["searches"]
        assert 0.0 <= entry["metric"] <= 1.0
        if "int8" in entry["searches"]:
            assert {row["weight_bits"] for row in entry["blocks"]} == {8}
            assert entry["predicted"]["macs"] <= 0.8 * tables.total("macs", int8)[0]
        if entry["onnx"] is not None:
            assert entry["onnx"]["agreement"] > 0.98
    assert min(entry["size_bytes"] for entry in summary["networks"]) <= 0.6 * whole[""]
    main, other = (Archive.load(tmp_path / "run" / file) for file in ("archive.h5", "archive-int8.h5"))
    assert [info.name for info in main.header.objectives] == ["score", "size_bytes"]
    assert [info.name for info in other.header.objectives] == ["score", "macs"]
    again = run_card(name, card, tmp_path / "run", jobs=1)
    assert again["networks"] == summary["networks"]


@pytest.mark.parametrize("name", ["digits", "streets", "camvid", "cityscapes"])
def test_shipped_cards_fit_their_teachers(name: str) -> None:
    import torch

    _, card = load_card(name)
    teacher = build_teacher(card.teacher.architecture, card.teacher.parameters)
    channels = card.teacher.parameters["channels"]
    assert len(find_blocks(teacher, card.blocks.names, torch.zeros(2, channels, 64, 96))) == len(card.blocks.names)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ('searches.int8.pick_by="speed"', "searches.int8.pick_by = 'speed'"),
        ('searches.int8.algorithm="nsga22"', "searches.int8.algorithm = 'nsga22'"),
        ("finetuning.shift_pixels=1", "finetuning.shift_pixels is for classification"),
    ],
)
def test_a_wrong_further_search_is_refused_before_training(tmp_path: Path, change: str, sentence: str) -> None:
    write_scenes(tmp_path / "images")
    (tmp_path / "scenes.toml").write_text(CARD, encoding="utf-8")
    with pytest.raises(CardError, match=sentence):
        run_card(*load_card(str(tmp_path / "scenes.toml"), changes=[change]), tmp_path / "run", jobs=1)
    assert not (tmp_path / "run" / "teacher.safetensors").exists()
