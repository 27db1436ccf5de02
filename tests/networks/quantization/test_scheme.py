"""Schemes: ours meets the contract, and those of another package need one file and an entry point."""

import math
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas import registry
from evo_qnas.errors import NetworkError
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.quantization.scheme import SCHEMES
from evo_qnas.testing import SchemeContract
from tests.plugin.squares_plugin.power_of_two import AffineWeights, PowerOfTwo


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that registers the schemes above."""
    entries = [
        EntryPoint(name=name, value=f"{kind.__module__}:{kind.__name__}", group="evo_qnas.schemes")
        for name, kind in (("power_of_two", PowerOfTwo), ("affine_weights", AffineWeights))
    ]
    registry._entries.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == entries[0].group else [])
    yield
    registry._entries.cache_clear()


class TestPerChannel(SchemeContract):
    name = "per_channel"


class TestPowerOfTwo(SchemeContract):
    name = "power_of_two"

    def test_every_scale_is_a_power_of_two(self) -> None:
        network, _ = self.make_network()
        with torch.no_grad():
            network.layers[0].scale.theta.add_(0.4)
            scales = [part.scale() for part in (*network.layers, *network.quantizers)]
        assert all(math.log2(float(scale)) == round(math.log2(float(scale))) for scale in scales)

    def test_integers_equal_the_floats_bit_for_bit(self) -> None:
        """Products and sums of powers of two are exact where no mean divides: no float is rounded in between."""
        images = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(3))
        module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.Flatten(), nn.Linear(64, 3))
        network = quantize(module, images, Policy(fixed=Bits(weight=4, activation=6), scheme=self.name))
        network.calibrate([images])
        with torch.no_grad():
            assert torch.equal(network(images), run_in_integers(network, images))


class TestAffineWeights(SchemeContract):
    name = "affine_weights"

    def test_its_zero_points_are_not_zero(self) -> None:
        assert any(bool(layer.zero_point) for layer in self.make_network()[0].layers)

    def test_tflite_has_no_zero_points_of_weights(self) -> None:
        pytest.importorskip("ai_edge_litert")
        from evo_qnas.networks.export.tflite.translate import to_tflite

        with pytest.raises(NetworkError, match=r"the weights of conv2d have zero points, TFLite knows none"):
            to_tflite(self.make_network()[0])


@pytest.mark.parametrize("contract", [TestPowerOfTwo, TestAffineWeights])
@pytest.mark.parametrize("weight", [3, 8])
def test_the_runtime_equals_the_integers(contract: type[SchemeContract], weight: int, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from evo_qnas.networks.export.onnx.sizes import file_sizes
    from tests.networks.export.conftest import in_runtime, written

    network, images = contract().make_network(weight=weight)
    path = written(network, tmp_path)
    assert torch.equal(in_runtime(path, images), run_in_integers(network, images))
    stored = sum(tensor.numel() * tensor.element_size() for tensor in network.stored().values())
    assert file_sizes(path).packed == stored


def test_an_unknown_scheme_is_refused() -> None:
    assert SCHEMES.names() == ("per_channel", "affine_weights", "power_of_two")
    with pytest.raises(NetworkError, match=r"there is no scheme 'per_chanel'; the nearest are: per_channel"):
        Policy(fixed=Bits(weight=8, activation=8), scheme="per_chanel")
