"""The file's sizes, its parity with torch, its latency, and the entry of summary.json."""

import gzip
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import RUNTIMES, Timing, export, rows_of
from evo_qnas.networks.export.checks import failures
from evo_qnas.networks.export.common.parity import compare, equals_reference
from evo_qnas.networks.export.onnx.runtime import OnnxRuntime, own_failures
from evo_qnas.networks.export.onnx.sessions import open_session, run
from evo_qnas.networks.export.onnx.sizes import file_sizes
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, QuantizedNetwork
from evo_qnas.networks.tasks.base import metric_value
from evo_qnas.networks.tasks.classification import Classification
from tests.networks.export.conftest import quantized, quantized_teacher, random_network, written
from tests.plugin.squares_plugin.regression import Regression

TASK = Classification()


@pytest.fixture
def small() -> QuantizedNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4))
    sample = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return quantized(module, sample, Bits(weight=3, activation=6))


def counted(path: Path) -> int:
    """Bytes of the tensors that carry the network's names."""
    ends = (".codes", ".scale", ".bias", ".step", ".zero_point")
    tensors = [t for t in onnx.load(path).graph.initializer if t.name.endswith(ends)]
    return sum(onnx.numpy_helper.to_array(t).nbytes for t in tensors)


@pytest.mark.parametrize("seed", range(4))
def test_the_packed_tensors_of_the_file_are_size_bytes(tmp_path: Path, seed: int) -> None:
    network, _ = random_network(seed)
    path = written(network, tmp_path)
    sizes = file_sizes(path)
    assert sizes.packed == counted(path) == costs_of(network, 8).size_bytes
    assert sizes.file == path.stat().st_size == sizes.packed + sizes.constants + sizes.graph
    assert len(gzip.compress(path.read_bytes(), 9, mtime=0)) == sizes.compressed


def test_fewer_bits_make_a_smaller_file(tmp_path: Path, small: QuantizedNetwork) -> None:
    before = file_sizes(written(small, tmp_path))
    for layer in small.layers:
        layer.bits = 6
        layer.fit()
    after = file_sizes(written(small, tmp_path))
    weights = sum(layer.weight.numel() for layer in small.layers)
    assert after.packed - before.packed == pytest.approx(weights * 3 / 8, abs=len(small.layers))
    assert after.file - before.file == pytest.approx(weights * 3 / 8, abs=40)


def test_a_file_that_is_no_onnx_file_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a model at all")
    with pytest.raises(NetworkError, match=r"bad\.onnx is no readable ONNX file"):
        file_sizes(tmp_path / "bad.onnx")
    with pytest.raises(NetworkError, match=r"ONNX Runtime cannot load .*bad\.onnx"):
        open_session(tmp_path / "bad.onnx")
    with pytest.raises(NetworkError, match=r"there is no ONNX file .*absent\.onnx"):
        open_session(tmp_path / "absent.onnx")


@pytest.mark.parametrize(("weight", "activation"), [(8, 8), (4, 8), (3, 6)])
def test_the_teacher_gives_torchs_answers(
    teacher: nn.Module, labelled: Images, tmp_path: Path, weight: int, activation: int
) -> None:
    network = quantized_teacher(teacher, labelled.pixels, weight, activation)
    path = tmp_path / "out" / "model.onnx"
    path.parent.mkdir()
    entry = export(network, path, images=labelled, task=TASK, latency=False)
    assert entry["failures"] == []
    assert entry["reference_equal"] is True
    assert entry["agreement"] == 1.0
    assert entry["metric"] == entry["torch_metric"] > 0.5
    assert entry["integer_convolutions"] == entry["convolutions"] == 11
    assert entry["file_bytes"] == path.stat().st_size
    assert entry["latency_ms"] is None


def test_another_network_than_the_exported_one_is_noticed(
    labelled: Images, tmp_path: Path, small: QuantizedNetwork
) -> None:
    path = written(small, tmp_path)
    rng = np.random.default_rng(0)
    logits_of = partial(run, open_session(path))
    assert equals_reference(small, logits_of, labelled, rng) is True
    small.layers[1].weight.data[0] += 1.0
    parity = compare(small, logits_of, labelled, task=TASK)
    assert parity.max_abs_diff > 0.1
    assert parity.agreement < 0.9
    assert equals_reference(small, logits_of, labelled, rng) is False


GOOD = {
    "metric": 0.9,
    "torch_metric": 0.9,
    "agreement": 1.0,
    "convolutions": 2,
    "integer_convolutions": 2,
    "reference_equal": True,
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"agreement": 0.9979}, "agreement with torch is 0.9979, below 0.998"),
        ({"metric": 0.8975}, "the metric is 0.8975, in torch 0.9000"),
        ({"convolutions": 3, "integer_convolutions": 1}, "2 of 3 convolutions run in float"),
        ({"reference_equal": False}, "differ on random inputs"),
        ({"packed_bytes": 7}, "the file packs 7 bytes of tensors, size_bytes is"),
    ],
    ids=["agreement", "metric", "kernels", "reference", "size"],
)
def test_every_check_fails_with_one_sentence(small: QuantizedNetwork, changes: dict[str, Any], text: str) -> None:
    size = costs_of(small, 8).size_bytes

    def sentences(**changes: Any) -> list[str]:
        entry = {**GOOD, "packed_bytes": size, **changes}
        return failures(small, entry, OnnxRuntime.tolerance, task=TASK) + own_failures(small, entry)

    found = sentences(**changes)
    assert len(found) == 1
    assert text in found[0]
    assert sentences(reference_equal=None) == []


def test_metrics_that_are_no_shares_are_tolerated_by_their_size(small: QuantizedNetwork) -> None:
    """0.2 % of 250 is 0.5."""

    def sentences(metric: float) -> list[str]:
        entry = {**GOOD, "metric": metric, "torch_metric": 250.0}
        return failures(small, entry, OnnxRuntime.tolerance, task=Regression())

    assert sentences(250.4) == []
    assert sentences(249.4) == ["the metric is 249.4, in torch 250"]


def test_agreement_and_texts_are_those_of_the_task(tmp_path: Path) -> None:
    """Outputs of a regression agree within 0.5 of each other; one logit has no arg max to compare."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 1))
    pixels = torch.randn(32, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network, runtime = quantized(module, pixels), RUNTIMES.get("onnx")
    with torch.no_grad():
        images = Images(pixels=pixels, labels=module(pixels)[:, 0])
    entry = export(network, tmp_path / "m.onnx", images=images, task=Regression(), latency=False)
    assert entry["failures"] == []
    assert entry["agreement"] == 1.0
    assert 0.0 < entry["metric"] == entry["torch_metric"] < 0.1
    rows = dict(rows_of(runtime, entry, metric_value(Regression())))
    assert rows["RMSE, ONNX Runtime and torch"] == ", ".join(2 * [f"{entry['metric']:.4g}"])
    network.layers[1].bias.data += torch.tensor([1.0])
    logits_of = partial(run, open_session(tmp_path / "m.onnx"))
    parity = compare(network, logits_of, images, task=Regression())
    apart = np.abs(logits_of(pixels.numpy()) - run_in_integers(network, pixels).numpy())
    assert parity.agreement == (apart < 0.5).mean() < 0.8
    assert parity.max_abs_diff == apart.max()


def test_latency_is_measured_for_every_file(tmp_path: Path, small: QuantizedNetwork) -> None:
    path, runtime = written(small, tmp_path), RUNTIMES.get("onnx")
    found = runtime.measure({"a": path, "b": path}, Timing(seed=0, rounds=10))
    assert set(found) == {"a", "b"}
    assert all(entry.milliseconds > 0 and entry.spread >= 0 and entry.rounds == 10 for entry in found.values())
    with pytest.raises(NetworkError, match=r"rounds = 3 gives no quantile: take at least 10"):
        runtime.measure({"a": path}, Timing(seed=0, rounds=3))


def test_a_missing_package_is_named(
    tmp_path: Path, labelled: Images, small: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxRuntime, "packages", ("onnx", "no_such_runtime"))
    with pytest.raises(
        NetworkError,
        match=r"ONNX Runtime needs no_such_runtime, not installed here: pip install 'evo-qnas\[onnx\]'",
    ):
        export(small, tmp_path / "model.onnx", images=labelled, task=TASK)
    assert not (tmp_path / "model.onnx").exists()


def test_a_killed_measurement_loses_at_most_a_round(tmp_path: Path, small: QuantizedNetwork) -> None:
    path, record, runtime = written(small, tmp_path), tmp_path / "rounds.jsonl", RUNTIMES.get("onnx")
    files = {"a": path, "b": path}
    timing = Timing(seed=1, rounds=12, record=record, fingerprint="x")
    whole = runtime.measure(files, timing)
    lines = record.read_bytes().splitlines(keepends=True)
    assert len(lines) == 13
    done: list[int] = []
    assert runtime.measure(files, replace(timing, advance=done.append)) == whole
    assert (done, record.read_bytes()) == ([12], b"".join(lines))
    # Killed while it wrote the tenth round: nine are kept as they are.
    record.write_bytes(b"".join(lines[:10]) + lines[10][: len(lines[10]) // 2])
    done.clear()
    runtime.measure(files, replace(timing, advance=done.append))
    assert done == [9, 1, 1, 1]
    assert record.read_bytes().splitlines(keepends=True)[:10] == lines[:10]
    assert len(record.read_bytes().splitlines()) == 13
    # Rounds of something else are not taken over.
    runtime.measure(files, replace(timing, fingerprint="y"))
    assert record.read_bytes().splitlines(keepends=True)[1] != lines[1]
