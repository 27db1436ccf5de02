"""Schemes: ours meets the contract, and those of another package need one file and an entry point."""

import math
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from math import prod
from pathlib import Path
from typing import final

import pytest
import torch
from torch import nn

from evo_qnas import registry
from evo_qnas.errors import NetworkError
from evo_qnas.networks.acceleration.autograd import applied
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.fake_quantize import CodeRange, RoundWeights, round_affine
from evo_qnas.networks.quantization.fitting import affine_range
from evo_qnas.networks.quantization.packing import packed_bytes
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.quantization.scheme import SCHEMES, Scheme, WeightGrid
from evo_qnas.testing import SchemeContract


def power_of_two(scale: torch.Tensor) -> torch.Tensor:
    """The next power of two, with the gradient of the scale itself."""
    rounded = torch.exp2(torch.ceil(torch.log2(scale.detach())))
    return scale * (rounded / scale.detach())


class PowerOfTwo(Scheme):
    """One symmetric scale for all weights of a layer, affine activations; scales are powers of two: shifts of bits."""

    about = "one power of two as scale of all weights of a layer"

    @property
    def has_weight_zero_points(self) -> bool:
        return False

    def weight_range(self, bits: int) -> tuple[int, int]:
        return 1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1

    def activation_range(self, bits: int) -> tuple[int, int]:
        return 0, 2**bits - 1

    def scale_shape(self, outputs: int) -> tuple[int, ...]:
        return ()

    def fit_weights(self, weight: torch.Tensor, bits: int, importance: torch.Tensor | None) -> WeightGrid:
        cover = weight.detach().abs().max() / self.weight_range(bits)[1]
        return WeightGrid(scale=power_of_two(cover), zero_point=torch.zeros((), dtype=torch.int64))

    def fit_activations(self, sample: torch.Tensor, bits: int) -> tuple[float, int]:
        scale, zero = affine_range(sample, bits)
        wide = 2.0 ** math.ceil(math.log2(scale))
        return wide, round(zero * scale / wide)

    def learned_scale(self, base: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        return power_of_two(base * torch.exp(theta))

    def widened_scale(self, scale: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
        return power_of_two(torch.maximum(scale, least.max()))

    def round_weights(self, weight: torch.Tensor, theta: torch.Tensor, grid: WeightGrid, bits: int) -> torch.Tensor:
        first, last = self.weight_range(bits)
        return applied(RoundWeights, weight, theta, grid.scale, CodeRange(first=first, last=last))

    def round_activations(
        self,
        x: torch.Tensor,
        theta: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor,
        *,
        bits: int,
        limits: tuple[float, float],
    ) -> torch.Tensor:
        return round_affine(x, theta, scale, zero_point, code_range=self.activation_range(bits), limits=limits)

    def bias_scale(self, input_scale: torch.Tensor, weight_scale: torch.Tensor) -> torch.Tensor:
        return input_scale * weight_scale

    def layer_bytes(self, shape: tuple[int, ...], bits: int, *, bias: bool) -> int:
        return packed_bytes(prod(shape), bits) + 4 + 4 * bias * shape[0]

    def activation_bytes(self) -> int:
        return 5


@final
class AffineWeights(PowerOfTwo):
    """The same with a zero point for the weights of a layer, so that codes cover them from the least to the largest."""

    @property
    def has_weight_zero_points(self) -> bool:
        return True

    def weight_range(self, bits: int) -> tuple[int, int]:
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def fit_weights(self, weight: torch.Tensor, bits: int, importance: torch.Tensor | None) -> WeightGrid:
        first, last = self.weight_range(bits)
        low, high = weight.detach().min().clamp(max=0.0), weight.detach().max().clamp(min=0.0)
        scale = power_of_two((high - low) / (last - first))
        return WeightGrid(scale=scale, zero_point=(first - torch.round(low / scale)).clamp(first, last).long())

    def round_weights(self, weight: torch.Tensor, theta: torch.Tensor, grid: WeightGrid, bits: int) -> torch.Tensor:
        first, last = self.weight_range(bits)
        zero = int(grid.zero_point)
        return applied(RoundWeights, weight, theta, grid.scale, CodeRange(first=first - zero, last=last - zero))

    def layer_bytes(self, shape: tuple[int, ...], bits: int, *, bias: bool) -> int:
        return super().layer_bytes(shape, bits, bias=bias) + 1


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that registers the schemes above."""
    entries = [
        EntryPoint(name=name, value=f"{__name__}:{kind.__name__}", group="evo_qnas.schemes")
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
