"""TFLite files: the network's own integers, limits of few bits, layouts of maps, refusals, the verb."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from typer.testing import CliRunner

from evo_qnas.cli import app
from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import export
from evo_qnas.networks.export.common import packages
from evo_qnas.networks.export.common.parity import InRuntime
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.tasks.classification import Classification
from tests.networks.export.conftest import quantized, quantized_teacher, random_network
from tests.networks.export.test_cli import IDENTITY, validated

__all__ = ["validated"]

Function = Callable[[torch.Tensor], torch.Tensor]
needs_tflite = pytest.mark.skipif(
    find_spec("ai_edge_litert") is None, reason="needs the extra tflite: pip install 'evo-qnas[tflite]'"
)


class Lambda(nn.Module):
    """A function behind a convolution, and another one behind that."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.before, self.function = nn.Conv2d(3, 4, 1), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.before(x))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return make()


def pixels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def in_tflite(network: QuantizedNetwork, images: torch.Tensor, folder: Path, *, delegate: bool = True) -> np.ndarray:
    from evo_qnas.networks.export.tflite.interpreters import open_interpreter, run
    from evo_qnas.networks.export.tflite.translate import to_tflite

    path = folder / "model.tflite"
    path.write_bytes(to_tflite(network))
    return run(open_interpreter(path, delegate=delegate), images.numpy())


def distances(network: QuantizedNetwork, images: torch.Tensor, given: np.ndarray) -> np.ndarray:
    """Distance of logits from the integer reference, in steps of the last quantizer."""
    target = run_in_integers(network, images).numpy()
    assert given.shape == target.shape
    return np.rint(np.abs(given - target) / network.quantizers[-1].scale().item())


@needs_tflite
def test_the_file_holds_the_networks_own_integers() -> None:
    """Read with the schema alone: weights with channels first or last, zero points 128 lower, biases int32."""
    from ai_edge_litert import schema_py_generated as schema

    from evo_qnas.networks.export.tflite.translate import to_tflite

    module = seeded(lambda: nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 5, 3, groups=5)))
    images = pixels(8, 3, 9, 9)
    blocks = {"0": Bits(weight=4, activation=8)}
    network = quantize(module, images[:2], Policy(fixed=Bits(weight=8, activation=8), blocks=blocks))
    network.calibrate([images])
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(to_tflite(network)))
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}

    def content(name: str, kind: type) -> np.ndarray:
        return np.frombuffer(bytes(model.buffers[tensors[name].buffer].data), kind)

    for layer, order in zip(network.layers, ((0, 2, 3, 1), (1, 2, 3, 0)), strict=True):
        codes = layer.weight_codes().numpy().transpose(order)
        assert tuple(tensors[f"{layer.name}.codes"].shape) == codes.shape
        np.testing.assert_array_equal(content(f"{layer.name}.codes", np.int8), codes.reshape(-1))
        np.testing.assert_array_equal(content(f"{layer.name}.bias", np.int32), layer.bias_codes().numpy())
        scale = tensors[f"{layer.name}.codes"].quantization.scale
        np.testing.assert_array_equal(scale, layer.scale().detach().numpy())
    for quantizer in network.quantizers[1:]:
        found = tensors[quantizer.name].quantization
        assert found.scale[0] == np.float32(quantizer.scale().item())
        assert found.zeroPoint[0] == int(quantizer.zero_point) - 128


@needs_tflite
@pytest.mark.parametrize(("weight", "activation"), [(8, 8), (2, 3)])
def test_few_bits_limit_codes_on_both_ends(tmp_path: Path, weight: int, activation: int) -> None:
    """Inputs leave the calibrated range by far; a kernel that knew int8 only would give values outside of it.

    XNNPACK rounds as the reference does. The plain kernels round a sum twice (to the multiplier's 31 bits, then to the
    step), which raises small sums of few-bit codes by one step now and then.
    """
    module = seeded(lambda: nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU6(), nn.Conv2d(6, 4, 1)))
    network = quantized(module, pixels(16, 3, 8, 8), Bits(weight=weight, activation=activation))
    images, last = pixels(4, 3, 8, 8) * 5, network.quantizers[-1]
    for delegate in (True, False):
        given = in_tflite(network, images, tmp_path, delegate=delegate)
        codes = np.rint(given / last.scale().item()) + int(last.zero_point)
        assert (codes.min(), codes.max()) == (0, 2**activation - 1)
        steps = distances(network, images, given)
        assert steps.max() <= 1
        assert (steps == 0).mean() > (0.98 if delegate else 0.7)


@needs_tflite
@pytest.mark.parametrize("seed", range(3))
def test_random_networks_of_mixed_bits_give_the_references_answers(tmp_path: Path, seed: int) -> None:
    """Kernels round additions, means and new steps in fixed point; one step of a 2-bit code is a third of its range."""
    network, images = random_network(seed)
    steps = distances(network, images, in_tflite(network, images, tmp_path))
    assert (steps <= 1).mean() > 0.97
    assert (steps == 0).mean() > 0.4


GROUPS: dict[str, list[Function]] = {
    "layout": [
        lambda x: torch.flatten(x, 1).reshape(-1, 7, 4, 9)[:, :, 1:],
        lambda x: torch.cat([x[:, 1:, 1:6:2, :4], x[:, :2, 1:-1:2, -4:]], 1),
        lambda x: functional.pad(x, (1, 2, 0, 3)),
        lambda x: functional.interpolate(x, size=(14, 18)),
        lambda x: functional.interpolate(functional.adaptive_avg_pool2d(x, 1), size=(7, 9), mode="bilinear"),
    ],
    "windows": [
        lambda x: functional.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda x: functional.max_pool2d(x, 2),
        lambda x: functional.avg_pool2d(x, 3),
        lambda x: functional.adaptive_avg_pool2d(x, (7, 3)),
        lambda x: functional.interpolate(x, size=(14, 18), mode="bilinear"),
    ],
    "sums": [
        lambda x: x.mean((2, 3)),
        lambda x: functional.adaptive_avg_pool2d(x, 1) + x,
        lambda x: x * torch.relu(x),
        lambda x: x - functional.relu6(x),
        torch.sigmoid,
        torch.tanh,
        functional.hardswish,
    ],
}


@needs_tflite
@pytest.mark.parametrize("group", GROUPS)
def test_operations_keep_the_layout_of_maps(tmp_path: Path, group: str) -> None:
    """Maps of 7 x 9 with 4 channels: an axis taken for another one gives other numbers, or none at all.

    An operation rounds at most twice, and joining the results once more.
    """

    def joined(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.flatten(function(x), 1) for function in GROUPS[group]], 1)

    network = quantized(seeded(lambda: Lambda(joined)), pixels(16, 3, 7, 9))
    images = pixels(3, 3, 7, 9)
    given = in_tflite(network, images, tmp_path)
    with torch.no_grad():
        target = network(images).numpy()
    assert given.shape == target.shape
    step = network.quantizers[-1].scale().item()
    assert np.abs(given - target).max() < 3.5 * step


@needs_tflite
@pytest.mark.parametrize(("stride", "groups"), [(2, 1), (1, 4), (2, 2)])
def test_convolutions_pad_as_torch_does(tmp_path: Path, stride: int, groups: int) -> None:
    """TFLite pads a stride of 2 on the other side; depthwise with a multiplier, groups, and dilation."""
    module = seeded(
        lambda: nn.Sequential(
            nn.Conv2d(4, 8, 3, stride, 1, groups=groups),
            nn.Conv2d(8, 4, 3, 1, 2, dilation=2, bias=False),
            nn.Conv2d(4, 4, 5, stride, 1),
        )
    )
    network = quantized(module, pixels(16, 4, 10, 11))
    images = pixels(4, 4, 10, 11)
    steps = distances(network, images, in_tflite(network, images, tmp_path))
    assert steps.max() <= 2
    assert (steps == 0).mean() > 0.9


@needs_tflite
def test_files_that_are_none_get_one_sentence(tmp_path: Path, teacher: nn.Module, images: torch.Tensor) -> None:
    from evo_qnas.networks.export.tflite.interpreters import open_interpreter
    from evo_qnas.networks.export.tflite.translate import to_tflite

    with pytest.raises(NetworkError, match=r"there is no TFLite file .*absent\.tflite"):
        open_interpreter(tmp_path / "absent.tflite")
    (tmp_path / "bad.tflite").write_bytes(b"not a model at all")
    with pytest.raises(NetworkError, match=r"the TFLite runtime cannot load .*bad\.tflite"):
        open_interpreter(tmp_path / "bad.tflite")
    with pytest.raises(NetworkError, match="the network is not calibrated"):
        to_tflite(quantize(teacher, images[:2], Policy(fixed=Bits(weight=8, activation=8))))


@needs_tflite
@pytest.mark.parametrize(("weight", "activation"), [(8, 8), (3, 5)])
def test_the_teacher_gives_torchs_answers(
    teacher: nn.Module, labelled: Images, tmp_path: Path, weight: int, activation: int
) -> None:
    network = quantized_teacher(teacher, labelled.pixels, weight, activation)
    path = tmp_path / "model.tflite"
    entry = export(network, path, images=labelled, task=Classification(), latency=weight == 8)
    assert entry["failures"] == []
    assert entry["integer_convolutions"] == entry["convolutions"] == 11
    assert entry["agreement"] > 0.97
    assert entry["packed_bytes"] == costs_of(network, 8).size_bytes
    assert entry["file_bytes"] == path.stat().st_size > entry["compressed_bytes"]
    assert (entry["latency_ms"] is None) == (weight != 8)


@needs_tflite
def test_a_file_can_give_logits_in_full_size(tmp_path: Path) -> None:
    from evo_qnas.networks.export.tflite.interpreters import open_interpreter, run
    from evo_qnas.networks.export.tflite.translate import to_tflite

    module = seeded(lambda: Lambda(lambda x: functional.interpolate(x, size=(14, 18), mode="bilinear")))
    network, images = quantized(module, pixels(8, 3, 7, 9)), pixels(2, 3, 7, 9)
    found = []
    for upsample, size in ((False, (7, 9)), (True, (14, 18))):
        path = tmp_path / "model.tflite"
        path.write_bytes(to_tflite(network, upsample=upsample))
        interpreter = open_interpreter(path)
        assert run(interpreter, images.numpy()).shape == (2, 4, *size)
        found.append(InRuntime(partial(run, interpreter), network)(images))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_without_the_package_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, validated: tuple[Path, dict[str, Any]]
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _name: None)
    monkeypatch.setattr(packages, "_is_installed", lambda _name: False)
    command = ["export", str(validated[0]), "--network", IDENTITY, "-o", str(tmp_path / "model.tflite")]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, NetworkError)
    text = "evo-qnas export needs ai-edge-litert, not installed here: pip install 'evo-qnas[tflite]'"
    assert str(result.exception) == text
    assert not (tmp_path / "model.tflite").exists()


@needs_tflite
def test_the_verb_writes_tflite_by_the_names_end(tmp_path: Path, validated: tuple[Path, dict[str, Any]]) -> None:
    folder, entry = validated
    path = tmp_path / "model.tflite"
    result = CliRunner().invoke(app, ["export", str(folder), "--network", IDENTITY, "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert f"{100 * entry['metric']:.2f} %" in result.output
    assert f"{entry['size_bytes']:,} B" in result.output
    assert "without XNNPACK" in result.output
    assert path.read_bytes()[4:8] == b"TFL3"
