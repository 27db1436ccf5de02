"""Runtimes: the contract for ours and for one that another package registers, names, endings, the verbs."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, final

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from evo_qnas import registry
from evo_qnas.cli import app
from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import (
    RUNTIMES,
    CheckSettings,
    Kernels,
    Latency,
    Part,
    Runtime,
    Timing,
    Tolerance,
    block_runtime,
    export,
    find_runtime,
)
from evo_qnas.networks.export.onnx.sessions import open_session, optimized_operations, run
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.testing.runtimes import RuntimeContract
from tests.networks.export.conftest import quantized, random_network
from tests.networks.export.test_cli import IDENTITY, validated
from tests.networks.export.test_parts import BLOCKS, images, network
from tests.networks.export.test_segmentation import DeepLabLike
from tests.plugin.squares_plugin.plain_runtime import PlainRuntime

__all__ = ["network", "validated"]

_NPUS = ("ethos-u55-128", "ethos-u55-256", "ethos-u65-256", "ethos-u65-512")
OURS = ("onnx", "tflite", *_NPUS, "openvino", "tflite-micro")


class TestOnnxRuntime(RuntimeContract):
    def make_runtime(self) -> Runtime:
        return RUNTIMES.get("onnx")


class TestTflite(RuntimeContract):
    def make_runtime(self) -> Runtime:
        return RUNTIMES.get("tflite")


class TestPlain(RuntimeContract):
    def make_runtime(self) -> Runtime:
        return PlainRuntime()


@final
class Estimator(Runtime):
    """A compiler of TFLite files: it runs nothing and estimates."""

    name = "estimator"
    title = "the estimator"
    about = "counts bytes"
    suffix = ".tflite"
    owns_suffix = False
    packages = ()
    install = "estimator"
    tolerance = Tolerance(agreement=1.0, agreement_few_bits=1.0, metric=0.0, steps=0)
    runs = False

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        PlainRuntime().write(network, path)

    def kernels(self, path: Path) -> Kernels:
        return PlainRuntime().kernels(path)

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        return {n: Latency(milliseconds=p.stat().st_size / 1e6, spread=0.0, rounds=0) for n, p in files.items()}

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        return PlainRuntime().check(network, path, settings)


class TestCompiler(RuntimeContract):
    def make_runtime(self) -> Runtime:
        return Estimator()


@pytest.fixture
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another package that registers two runtimes."""
    group = RUNTIMES.group
    values = {"plain": f"{PlainRuntime.__module__}:PlainRuntime", "estimator": f"{__name__}:Estimator"}
    entries = [EntryPoint(name=name, value=value, group=group) for name, value in values.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == RUNTIMES.group else [])
    registry._entries.cache_clear()
    yield
    registry._entries.cache_clear()


@pytest.mark.usefixtures("_installed")
def test_a_runtime_of_another_package_is_found_by_ending_or_name(
    validated: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    assert RUNTIMES.names() == (*OURS, "estimator", "plain")
    assert type(find_runtime(Path("m.XYZ"))) is PlainRuntime
    assert find_runtime(Path("m.tflite")).name == "tflite"
    assert find_runtime(Path("m.tflite"), "estimator").name == "estimator"
    folder, entry = validated
    for name, extra in (("m.xyz", []), ("m.other", ["--runtime", "plain"])):
        command = ["export", str(folder), "--network", IDENTITY, "-o", str(tmp_path / name), *extra]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        assert "the integer reference and torch" in result.output
        assert f"{100 * entry['metric']:.2f} %" in result.output
        assert (tmp_path / name).is_file()
    assert "stored tensors and the graph as JSON" in CliRunner().invoke(app, ["list", "runtimes"]).output


def test_a_random_network_of_mixed_bits_goes_through_another_packages_runtime(tmp_path: Path) -> None:
    made, pixels = random_network(1)
    path = tmp_path / "m.xyz"
    PlainRuntime().write(made, path)
    assert torch.equal(PlainRuntime().open(path)(pixels), run_in_integers(made, pixels))


def test_endings_and_names_that_nothing_has_are_refused(
    validated: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = r"endings with their runtimes: \.onnx \(onnx\), \.tflite \(tflite\)$"
    with pytest.raises(NetworkError, match=rf"m\.xyz ends in \.xyz, which no runtime writes unless .*; {endings}"):
        find_runtime(Path("m.xyz"))
    with pytest.raises(NetworkError, match=rf"^m has no ending, which no runtime writes .*; {endings}"):
        find_runtime(Path("m"))
    with pytest.raises(NetworkError, match=r"there is no runtime 'onxn'; the nearest are: onnx"):
        find_runtime(Path("m.onnx"), "onxn")
    command = ["export", str(validated[0]), "--network", IDENTITY, "-o", str(tmp_path / "m.xyz")]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, NetworkError)
    assert not (tmp_path / "m.xyz").exists()
    monkeypatch.setattr(type(RUNTIMES.get("tflite")), "suffix", ".onnx")
    with pytest.raises(NetworkError, match=r"the runtimes onnx and tflite both own \.onnx; name one"):
        find_runtime(Path("m.onnx"))


def test_a_compiler_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"the estimator compiles files and runs none here: .*m\.tflite cannot be"):
        Estimator().open(tmp_path / "m.tflite")
    with pytest.raises(NetworkError, match=r"the estimator compiles files and runs none here"):
        Estimator().run(None, images().numpy())


def test_listing_imports_no_runtime() -> None:
    code = (
        "import sys; from evo_qnas.networks.export import RUNTIMES; n = RUNTIMES.names(); a = dict(RUNTIMES.items());"
        "known = ('onnx', 'onnxruntime', 'ai_edge_litert', 'flatbuffers', 'tflite_micro', 'ethosu', 'openvino');"
        "print([m for m in known if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
    result = CliRunner().invoke(app, ["list", "runtimes"])
    assert [line.split()[0] for line in result.output.splitlines()] == list(OURS)


def test_parts_written_and_composed_are_the_whole_network(network: QuantizedNetwork, tmp_path: Path) -> None:
    runtime = block_runtime("onnx")
    fixed, whole, composed = (tmp_path / f"{name}.onnx" for name in ("fixed", "whole", "composed"))
    runtime.write(network, whole)
    runtime.write_part(network, fixed, Part(blocks=BLOCKS))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = DeepLabLike().eval()
    files: dict[str, Path | None] = {}
    for name, shape in {"body": (8, 12, 20), "project": (32, 6, 10)}.items():
        block = quantized(module.get_submodule(name), torch.randn(4, *shape))
        files[name] = tmp_path / f"{name}.onnx"
        runtime.write_part(block, tmp_path / f"{name}.onnx", Part(codes=True))
    runtime.compose(fixed, files, composed)
    assert optimized_operations(composed) == optimized_operations(whole)


def test_what_latency_tables_need_beside_parts(tmp_path: Path) -> None:
    runtime, path = block_runtime("onnx"), tmp_path / "m.onnx"
    runtime.write_idle(path)
    assert dict(optimized_operations(path)) == {"Identity": 1}
    module = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()).eval()
    runtime.write_float(module, images(), path)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(run(open_session(path), images().numpy())), module(images()))
    compile(runtime.measuring_script(), "measure_blocks.py", "exec")
    with pytest.raises(NetworkError, match=r"the runtime 'tflite' writes whole networks only"):
        block_runtime("tflite")


def test_an_export_is_by_the_ending(tmp_path: Path) -> None:
    made, pixels = random_network(2)
    shown = Images(pixels=pixels, labels=torch.zeros(len(pixels), dtype=torch.int64))
    entry = export(made, tmp_path / "m.onnx", images=shown, task=Classification(), latency=False)
    assert entry["reference_equal"] is True
