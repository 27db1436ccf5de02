"""Networks for segmentation: DeepLab-like graphs, low-resolution logits, up-sampling bit for bit."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas.data import Images
from evo_qnas.networks.capture.graph import ATEN, last_upsampling
from evo_qnas.networks.capture.operations.upsampling import bilinear
from evo_qnas.networks.export import export
from evo_qnas.networks.export.onnx.sessions import kernels, optimized_operations
from evo_qnas.networks.export.onnx.translate import to_onnx
from evo_qnas.networks.integer.reference import InIntegers, run_in_integers
from evo_qnas.networks.models.layers import conv_bn, inverted_residual
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.tasks.segmentation import Segmentation
from tests.networks.export.conftest import EIGHT, in_runtime, quantized, written

SIZE = (24, 40)


class DeepLabLike(nn.Module):
    """Strided stem, atrous residuals, atrous spatial pyramid with a pooled branch, skip, up-sampled logits."""

    def __init__(self, pooled: str = "expand") -> None:
        super().__init__()
        self.pooled = pooled
        self.stem = conv_bn(3, 8, kernel=3, stride=2)
        self.body = nn.Sequential(
            inverted_residual(8, 12, kernel=3, expansion=2, stride=2),
            inverted_residual(12, 12, kernel=3, expansion=2, dilation=2),
        )
        self.rates = nn.ModuleList([conv_bn(12, 8), *(conv_bn(12, 8, kernel=3, dilation=rate) for rate in (2, 4))])
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn(12, 8))
        self.project, self.skip = conv_bn(32, 8), conv_bn(8, 4)
        self.fuse = conv_bn(12, 8, kernel=3)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        early = self.stem(x)
        y = self.body(early)
        pooled = self.pool(y)
        if self.pooled == "expand":
            pooled = pooled.expand(-1, -1, *y.shape[2:])
        else:
            pooled = functional.interpolate(pooled, size=y.shape[2:], mode=self.pooled)
        z = self.project(torch.cat([*(branch(y) for branch in self.rates), pooled], 1))
        z = functional.interpolate(z, size=early.shape[2:], mode="bilinear")
        z = self.fuse(torch.cat([z, self.skip(early)], 1))
        return functional.interpolate(self.head(z), size=x.shape[2:], mode="bilinear")


def deeplab(seed: int, pooled: str = "expand", *, most_bits: int = 8) -> tuple[QuantizedNetwork, torch.Tensor]:
    """A calibrated network of random weights and mixed bits, and images that leave the calibrated ranges."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DeepLabLike(pooled).train()
        network(torch.randn(8, 3, *SIZE, generator=generator))
    least = min(most_bits, 8 if most_bits == 8 else 2)
    blocks = {
        name: Bits(weight=int(rng.integers(2, 9)), activation=int(rng.integers(least, most_bits + 1)))
        for name in ("body.0", "body.1", "rates", "pool", "fuse")
    }
    sample = torch.randn(8, 3, *SIZE, generator=generator)
    made = quantize(network.eval(), sample[:2], Policy(fixed=EIGHT, blocks=blocks))
    made.calibrate([sample])
    return made, torch.randn(6, 3, *SIZE, generator=generator) * 1.3


@pytest.mark.parametrize("pooled", ["expand", "nearest", "bilinear"])
def test_every_convolution_runs_in_integers_and_equals_the_reference(pooled: str, tmp_path: Path) -> None:
    network, images = deeplab(1, pooled)
    path = written(network, tmp_path)
    found = kernels(path)
    assert found.integer_convolutions == found.convolutions == 15
    operations = optimized_operations(path)
    assert (operations["QLinearConcat"], operations["QLinearGlobalAveragePool"], operations["QLinearAdd"]) == (2, 1, 1)
    given = in_runtime(path, images)
    assert given.shape == (6, 5, 12, 20)
    assert given.unique().numel() > 10
    assert torch.equal(given, run_in_integers(network, images))


@pytest.mark.parametrize("seed", range(3))
def test_random_networks_of_mixed_bits_equal_the_reference(seed: int, tmp_path: Path) -> None:
    network, images = deeplab(seed, ("expand", "nearest", "bilinear")[seed % 3], most_bits=7 + seed % 2)
    assert torch.equal(in_runtime(written(network, tmp_path), images), run_in_integers(network, images))


def test_the_logits_are_quantized_and_their_upsampling_is_not(tmp_path: Path) -> None:
    network, images = deeplab(2)
    last = last_upsampling(network.graph)
    assert last is not None
    with torch.no_grad():
        full = network(images)
    small = in_runtime(written(network, tmp_path), images)
    target = functional.interpolate(small, size=SIZE, mode="bilinear")
    step = float(network.quantizers[-1].scale().detach())
    assert full.shape == target.shape == (6, 5, *SIZE)
    assert float((full - target).abs().max()) <= 2.001 * step
    assert float(((full - target).abs() > 1e-3 * step).float().mean()) < 0.02


@pytest.mark.parametrize("upsample", [False, True])
def test_the_entry_compares_pixels(upsample: bool, tmp_path: Path) -> None:
    network, images = deeplab(3)
    shown = Images(pixels=images, labels=InIntegers(network)(images).argmax(1))
    path = tmp_path / "m.onnx"
    entry = export(network, path, images=shown, task=Segmentation(), upsample=upsample, latency=False)
    assert entry["torch_metric"] == 1.0
    assert entry["metric"] > 0.99 if upsample else entry["metric"] == 1.0
    assert entry["agreement"] > 0.999 if upsample else entry["agreement"] == 1.0
    assert entry["float_agreement"] > 0.98
    assert entry["reference_equal"] is True
    assert entry["logits"] == [5, *SIZE] if upsample else [5, 12, 20]
    assert entry["packed_bytes"] == costs_of(network, 8).size_bytes
    assert not [text for text in entry["failures"] if "agreement" not in text]
    dimensions = onnx.load(path).graph.output[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dimensions[1:]] == entry["logits"]


def test_upsampling_in_the_middle_keeps_its_quantizer() -> None:
    network, _ = deeplab(4)
    resized = [node for node in network.graph.graph.nodes if node.target is ATEN.upsample_bilinear2d.vec]
    assert len(resized) == 2
    assert [next(iter(node.users)).op for node in resized] == ["call_module", "output"]


def test_nearest_upsampling_at_the_end_is_left_out_as_well(tmp_path: Path) -> None:
    sample = torch.randn(16, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    network = quantized(nn.Sequential(nn.Conv2d(2, 3, 1), nn.Upsample(scale_factor=4)), sample)
    assert in_runtime(written(network, tmp_path), sample).shape == (16, 3, 6, 6)
    path = tmp_path / "whole.onnx"
    path.write_bytes(to_onnx(network, upsample=True).SerializeToString())
    with torch.no_grad():
        target = network(sample)
    assert in_runtime(path, sample).shape == target.shape == (16, 3, 24, 24)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(
    ("size", "target"), [((8, 12), (16, 24)), ((7, 9), (31, 45)), ((1, 5), (3, 5)), ((6, 4), (1, 1))]
)
def test_bilinear_is_that_of_the_definition(corners: bool, size: tuple[int, int], target: tuple[int, int]) -> None:
    maps = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    given = bilinear(maps.numpy(), target, corners=corners)
    assert given.dtype == np.float32
    expected = functional.interpolate(maps, size=target, mode="bilinear", align_corners=corners)
    assert np.allclose(given, expected.numpy(), atol=1e-5)
