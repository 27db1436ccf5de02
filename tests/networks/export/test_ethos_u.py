"""Files for Arm Ethos-U NPUs: the compiler's account, what stays on the processor, few bits in flash, refusals."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import RUNTIMES, Runtime, Timing, compiling_runtime, export
from evo_qnas.networks.export.ethos_u import vela
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.tasks.base import metric_value
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.testing.runtimes import RuntimeContract
from tests.networks.export.conftest import quantized, random_network

NAME = "ethos-u65-256"
needs_vela = pytest.mark.skipif(
    bool(RUNTIMES.get(NAME).missing()), reason="needs the extra ethos-u: pip install 'evo-qnas[ethos-u]'"
)


class TestEthosU(RuntimeContract):
    def make_runtime(self) -> Runtime:
        return RUNTIMES.get(NAME)


def layers(*channels: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        pairs = pairwise(channels)
        return nn.Sequential(*(part for a, b in pairs for part in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU())))


def pixels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@needs_vela
def test_few_bits_take_less_flash_and_wide_layers_more_time() -> None:
    runtime, sample = compiling_runtime(NAME), pixels(4, 16, 16, 16)
    few = Bits(weight=4, activation=8)
    networks = (
        quantized(layers(16, 64, 16), sample),
        quantized(layers(16, 64, 16), sample, few),
        quantized(layers(16, 128, 16), sample),
    )
    eight, four, wide = runtime.footprints(networks)
    assert four.flash_bytes < 0.75 * eight.flash_bytes
    assert 0 < eight.flash_bytes < eight.file_bytes
    assert eight.milliseconds < wide.milliseconds
    assert eight.outside == 0
    assert runtime.footprints([]) == []
    assert runtime.footprints(networks[2:]) == [wide]


class WithFloats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = layers(3, 8), layers(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(nn.functional.gelu(self.first(x))).mean((2, 3))


@needs_vela
def test_what_stays_on_the_processor_is_named_with_its_reason(tmp_path: Path) -> None:
    images = pixels(8, 3, 12, 12)
    network, runtime = quantized(WithFloats(), images), RUNTIMES.get(NAME)
    labelled = Images(pixels=images, labels=run_in_integers(network, images).argmax(1))
    entry = export(network, tmp_path / "m.tflite", runtime, images=labelled, task=Classification())
    assert [(each["operator"], each["reason"]) for each in entry["cpu_operators"]] == [
        (kind, "it reads or gives floats") for kind in ("Dequantize", "Gelu", "Quantize")
    ]
    assert entry["integer_convolutions"] == entry["convolutions"] == 2
    assert entry["latency_ms"] > 0 == entry["latency_spread_ms"]
    assert entry["failures"] == []
    rows = dict(runtime.details(entry, metric_value(Classification())))
    assert rows["operators on the NPU"] == f"{entry['npu_operators']} of {entry['npu_operators'] + 3}"
    assert rows["on the processor: Gelu"].endswith(", it reads or gives floats")


@needs_vela
def test_an_account_lies_beside_its_file(tmp_path: Path) -> None:
    runtime, path = RUNTIMES.get(NAME), tmp_path / "m.tflite"
    runtime.write(random_network(3)[0], path)
    account = json.loads((tmp_path / "m.tflite.vela.json").read_text(encoding="utf-8"))
    assert account["constant_bytes"] + account["command_bytes"] < path.stat().st_size
    assert runtime.measure({"a": path}, Timing(seed=0))["a"].milliseconds == account["milliseconds"] > 0
    (tmp_path / "m.tflite.vela.json").write_text("[]", encoding="utf-8")
    with pytest.raises(NetworkError, match=r"vela\.json is no account of a compiler: export the network again"):
        runtime.kernels(path)


@needs_vela
def test_a_file_that_the_compiler_refuses_gives_its_reason() -> None:
    with pytest.raises(NetworkError, match=r"^Vela cannot compile the file for ethos-u65-256: .+"):
        vela.compile_contents([b"no file"], NAME)


def test_a_compiler_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, timeout: float, **__: Any) -> None:
        raise subprocess.TimeoutExpired("vela", timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(NetworkError, match=r"^Vela did not compile the file for ethos-u65-256 in \d+ s$"):
        vela.compile_contents([b""], NAME)


def test_columns_need_a_compiler() -> None:
    with pytest.raises(
        NetworkError, match=r"^the runtime 'tflite' compiles nothing: \[compiled\] names one of ethos-u55"
    ):
        compiling_runtime("tflite")
    assert compiling_runtime("ethos-u55-128").title.startswith("Ethos-U55")
