"""ONNX files of standard operations, and OpenVINO: kernels, parts, few bits, refusals."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import RUNTIMES, Part, Runtime, Timing, block_runtime
from evo_qnas.networks.export.onnx.sessions import open_session, run
from evo_qnas.networks.export.onnx.translate import to_onnx
from evo_qnas.networks.export.openvino.standard import standard_model
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.testing.runtimes import RuntimeContract
from tests.networks.export.conftest import quantized, random_network

needs_openvino = pytest.mark.skipif(
    bool(RUNTIMES.get("openvino").missing()), reason="needs the extra openvino: pip install 'evo-qnas[openvino]'"
)


class TestOpenVino(RuntimeContract):
    def make_runtime(self) -> Runtime:
        return RUNTIMES.get("openvino")


@pytest.mark.parametrize("seed", range(4))
def test_a_standard_file_gives_the_same_bits(seed: int, tmp_path: Path) -> None:
    network, pixels = random_network(seed)
    packed, plain = tmp_path / "packed.onnx", tmp_path / "plain.onnx"
    model = to_onnx(network)
    content = model.SerializeToString()
    made = standard_model(model)
    assert model.SerializeToString() == content
    assert {node.domain for node in made.graph.node} == {""}
    assert not made.functions
    assert [each.domain for each in made.opset_import] == [""]
    onnx.checker.check_model(made)
    onnx.save(model, packed)
    onnx.save(made, plain)
    given = [run(open_session(path), pixels.numpy()) for path in (packed, plain)]
    assert np.array_equal(*given)


def layers() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 4, 1)
        )


@needs_openvino
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_convolutions_of_few_bits_run_in_integers(bits: int, tmp_path: Path) -> None:
    network = quantized(layers(), torch.randn(8, 3, 12, 12), Bits(weight=bits, activation=8))
    RUNTIMES.get("openvino").write(network, tmp_path / "m.onnx")
    found = RUNTIMES.get("openvino").kernels(tmp_path / "m.onnx")
    assert (found.integer_convolutions, found.convolutions) == (3, 3)


@needs_openvino
def test_parts_are_timed_and_make_a_whole(tmp_path: Path) -> None:
    runtime = block_runtime("openvino")
    network = quantized(layers(), torch.randn(8, 3, 12, 12))
    runtime.write_part(network, tmp_path / "part.onnx", Part(codes=True))
    runtime.write_idle(tmp_path / "idle.onnx")
    runtime.write_float(layers().eval(), torch.randn(2, 3, 12, 12), tmp_path / "float.onnx")
    files = {name: tmp_path / f"{name}.onnx" for name in ("part", "idle", "float")}
    times = runtime.measure(files, Timing(seed=0, rounds=10))
    assert 0 < times["idle"].milliseconds < times["part"].milliseconds
    compile(runtime.measuring_script(), "measure_blocks.py", "exec")


@needs_openvino
def test_what_openvino_cannot_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(NetworkError, match=r"^OpenVINO cannot load .*m\.onnx: .+"):
        RUNTIMES.get("openvino").open(tmp_path / "m.onnx")
