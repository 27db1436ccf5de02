"""A search that may take floats for a block: scored, counted, validated, written, exported and read back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evo_qnas as eq
from evo_qnas.errors import CardError
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.pipeline.latency.units import timed_bits
from evo_qnas.pipeline.problems import expected_tables
from evo_qnas.study import Study
from evo_qnas.tables import Tables
from tests.study.conftest import FAST, Convolutions

PINNED = {"floats": {"pins": {"first": {"weight_bits": 16}}, "pick_shares": [0.95], "evaluations": 40, "population": 8}}


def made(images: torch.Tensor, folder: Path, **changes: Any) -> Study:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"blocks": ["first", "second"], "operators": ["identity"], **FAST, **changes}
    return eq.Study(Convolutions(4), train=images, folder=folder, **settings)


@pytest.fixture(scope="module")
def finished(images: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("floats") / "run"
    latency = {"networks": 4, "held_out": 0, "rounds": 10}
    return made(images, folder, float_bits=[32, 16], searches=PINNED, in_context={}, latency=latency).run(jobs=1)


def test_every_operator_with_weights_has_choices_in_floats(finished: Study) -> None:
    labels = finished.tables.blocks[0].labels
    assert labels == [
        *(("teacher", 4, 8), ("teacher", 8, 8), ("teacher", 16, 32), ("teacher", 32, 32), ("identity", 0, 0))
    ]
    assert [block.labels for block in expected_tables(finished.context).blocks] == [labels, labels]
    for name in ("score", "score_in_context"):
        four, eight, *floats, _ = finished.tables.column(name).values[1]
        assert four > eight > max(floats) > 0.0
    sizes, operations = (finished.tables.column(name).values[0] for name in ("size_bytes", "bit_operations"))
    assert sizes[2:4].tolist() == [584 * 2 + 5, 584 * 4 + 5]
    assert operations[2:4].tolist() == [20736 * 16 * 32, 20736 * 32 * 32]


def test_floats_are_timed_and_take_memory_as_floats(finished: Study) -> None:
    pytest.importorskip("onnxruntime")
    block = finished.tables.blocks[0]
    found = timed_bits(block)
    assert [found[label] for label in block.labels] == [(8, 8), (8, 8), (32, 32), (32, 32), (8, 8)]
    times, peaks = (finished.tables.column(name).values[0] for name in ("latency_ms", "peak_memory_bytes"))
    assert times[2] == times[3] != times[0]
    # 288 values in and out: codes both, or beside the codes that go in floats of both.
    assert peaks.tolist() == [576.0, 576.0, 288.0 + 2 * 1152.0, 288.0 + 2 * 1152.0, 288.0]


def test_devices_need_a_speed_in_floats(images: torch.Tensor, tmp_path: Path) -> None:
    study = made(images, tmp_path, float_bits=[16], latency={"devices": ["cortex_m7"]})
    with pytest.raises(CardError, match=r"names no speed at 32 bits: add one to its macs_per_second"):
        study.check()


def test_networks_with_and_without_floats_are_validated_and_exported(finished: Study, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with_floats = next(network for network in finished.summary.networks if "floats" in network.searches)
    without = next(n for n in finished.summary.networks if all(block.weight_bits <= 8 for block in n.blocks))
    assert with_floats.blocks[0].weight_bits == 16
    inputs = torch.stack([finished.context.splits.test.take([row])[0][0] for row in range(4)])
    for network in (with_floats, without):
        row = np.array([network.genome])
        assert network.size_bytes == finished.tables.total("size_bytes", row)[0]
        assert network.onnx is not None
        assert network.onnx["failures"] == []
        chosen = finished.network(network.id)
        file = chosen.export(tmp_path / f"{network.id}.onnx")
        assert file.failures == ()
        # Counted in the file itself.
        assert file.entry["packed_bytes"] == network.size_bytes
        stored = load_weights(finished.folder / "networks" / network.id / "weights.safetensors")[0]
        assert sum(tensor.numel() * tensor.element_size() for tensor in stored.values()) == network.size_bytes
        kinds = {name: tensor.dtype for name, tensor in stored.items() if name.startswith("float.first")}
        assert set(kinds.values()) == ({torch.float16} if network is with_floats else set())
        loaded = eq.load_network(finished.folder, network.id)
        assert torch.equal(loaded(inputs), chosen.module(inputs))


def test_pages_and_tables_of_networks_take_floats(finished: Study, tmp_path: Path) -> None:
    assert finished.report(tmp_path / "page.html").is_file()
    identity = next(network.id for network in finished.summary.networks if "floats" in network.searches)
    assert "<td>16</td><td>32</td>" in finished.network(identity)._repr_html_()


def test_tables_with_floats_pass_through_csv(finished: Study, tmp_path: Path) -> None:
    finished.tables.to_csv(tmp_path / "tables.csv")
    read = Tables.from_csv(tmp_path / "tables.csv")
    assert [block.labels for block in read.blocks] == [block.labels for block in finished.tables.blocks]


def test_a_study_without_floats_is_what_it_was(images: torch.Tensor, finished: Study, tmp_path: Path) -> None:
    plain, empty = made(images, tmp_path), made(images, tmp_path, float_bits=[])
    assert plain.context.fingerprints.tables == empty.context.fingerprints.tables
    assert plain.context.fingerprints.tables != finished.context.fingerprints.tables
    assert "float_bits" not in plain.context.description["quantization"]
    assert finished.context.description["quantization"]["float_bits"] == [16, 32]


def test_widths_that_are_none(images: torch.Tensor, tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"^study: quantization\.float_bits\.0 = 8: input should be 16 or 32$"):
        made(images, tmp_path, float_bits=[8])
