"""Files with class names and preprocessing, files that take raw pixels, and the lines that run them."""

import contextlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.export import RUNTIMES, Runtime, export
from evo_qnas.networks.export.facts import facts_path, normalised
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.tasks.classification import Classification

PREPROCESSING = {"divide": 255.0, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "channels": "RGB"}
FACTS = Facts(classes=("cat", "dog"), preprocessing=PREPROCESSING)
RAW = np.random.default_rng(3).integers(0, 256, (12, 6, 8, 3), dtype=np.uint8)


def ready(name: str) -> Runtime:
    runtime = RUNTIMES.get(name)
    if runtime.missing():
        pytest.skip(f"needs {runtime.install}")
    return runtime


@pytest.fixture(scope="module")
def images() -> Images:
    return Images(pixels=torch.from_numpy(normalised(RAW, PREPROCESSING)), labels=torch.arange(12) % 2)


@pytest.fixture(scope="module")
def network(images: Images) -> QuantizedNetwork:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 2)).eval()
    made = quantize(module, images.pixels, Policy(fixed=Bits(weight=8, activation=8)))
    made.calibrate([images.pixels])
    return made


def exported(network: QuantizedNetwork, path: Path, images: Images, **more: Any) -> dict[str, Any]:
    runtime = ready(path.suffix[1:])
    return export(network, path, runtime, images=images, task=Classification(), latency=False, **more)


def test_an_onnx_file_carries_the_facts(network: QuantizedNetwork, images: Images, tmp_path: Path) -> None:
    entry = exported(network, tmp_path / "a.onnx", images, facts=FACTS)
    assert entry["failures"] == []
    kept = ready("onnx").open(tmp_path / "a.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(kept["classes"]) == ["cat", "dog"]
    assert json.loads(kept["preprocessing"]) == PREPROCESSING
    assert entry["file_bytes"] == (tmp_path / "a.onnx").stat().st_size


def test_a_tflite_file_has_the_facts_beside_it(network: QuantizedNetwork, images: Images, tmp_path: Path) -> None:
    assert exported(network, tmp_path / "a.tflite", images, facts=FACTS)["failures"] == []
    beside = json.loads(facts_path(tmp_path / "a.tflite").read_text())
    assert beside == {"classes": ["cat", "dog"], "preprocessing": PREPROCESSING}


def test_nothing_is_written_where_nothing_is_known(network: QuantizedNetwork, images: Images, tmp_path: Path) -> None:
    exported(network, tmp_path / "a.tflite", images, facts=Facts())
    assert not facts_path(tmp_path / "a.tflite").exists()


def test_raw_pixels_give_the_outputs_of_the_same_pixels_after_preprocessing(
    network: QuantizedNetwork, images: Images, tmp_path: Path
) -> None:
    entry = exported(network, tmp_path / "raw.onnx", images, facts=FACTS, raw_inputs=True)
    assert entry["failures"] == []
    session = ready("onnx").open(tmp_path / "raw.onnx")
    (source,) = session.get_inputs()
    assert (source.name, source.type, source.shape) == ("pixels", "tensor(uint8)", ["n", 6, 8, 3])
    (given,) = session.run(None, {"pixels": RAW})
    assert np.array_equal(given, run_in_integers(network, images.pixels).numpy())


def test_other_preprocessing_than_that_of_the_file_is_noticed(
    network: QuantizedNetwork, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, right = ready("onnx"), RUNTIMES.get("onnx").take_raw
    wrong = {**PREPROCESSING, "mean": [0.0, 0.0, 0.0]}
    monkeypatch.setattr(type(runtime), "take_raw", lambda self, path, _: right(path, wrong))
    entry = exported(network, tmp_path / "raw.onnx", images, facts=FACTS, raw_inputs=True)
    assert entry["failures"] == ["raw pixels give other outputs than the same pixels after preprocessing"]


@pytest.mark.parametrize(
    ("path", "facts", "match"),
    [
        ("a.onnx", Facts(), r"cannot take raw pixels without preprocessing that names mean and std: give Study"),
        ("a.onnx", Facts(preprocessing={"mean": [0.0], "std": []}), r"preprocessing that names std"),
        ("a.onnx", Facts(preprocessing={"mean": [0.0] * 2, "std": [1.0]}), r"has 2 means and 1 deviations for 3 chan"),
        ("a.tflite", FACTS, r"TFLite files cannot hold the preprocessing: leave out raw_inputs"),
    ],
)
def test_raw_pixels_that_cannot_be_taken(
    network: QuantizedNetwork, images: Images, path: str, facts: Facts, match: str
) -> None:
    with TemporaryDirectory() as folder, pytest.raises(NetworkError, match=match):
        exported(network, Path(folder) / path, images, facts=facts, raw_inputs=True)


@pytest.mark.parametrize("path", ["a.onnx", "a.tflite", "raw.onnx"])
def test_four_lines_run_a_file(
    network: QuantizedNetwork, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    raw = path == "raw.onnx"
    exported(network, tmp_path / path, images, facts=FACTS, raw_inputs=raw)
    lines = ready(path.rpartition(".")[2]).usage(tmp_path / path, FACTS)
    assert len(lines) == 4
    assert ("# (raw / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.25], RGB" in "\n".join(lines)) is not raw
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    with contextlib.redirect_stdout(None):
        exec("\n".join(lines), space)
    black = np.zeros((1, 6, 8, 3), dtype=np.uint8)
    zeros = normalised(black, PREPROCESSING) if raw else np.zeros((1, 3, 6, 8), dtype=np.float32)
    wanted = run_in_integers(network, torch.from_numpy(zeros)).numpy()
    step = float(network.quantizers[-1].scale().detach())
    assert np.abs(space["outputs"][0] - wanted).max() <= 1.01 * step
