"""Operations in ONNX files: each one's codes are those of the reference, bit for bit where it computes in integers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas.networks.export.common.walk import Walk, walk
from evo_qnas.networks.export.onnx.runtime import OnnxRuntime
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from tests.networks.export.conftest import in_runtime, quantized, written

Step = Callable[[torch.Tensor], torch.Tensor]
MASK = torch.ones(8, 8).tril().bool()
LOW = torch.full((8, 8), -1e9).triu(1)
TOKEN = torch.linspace(-1.0, 1.0, 64).view(1, 1, 8, 8)
# Positions that numpy's own rules would not all take.
ROWS, COLUMNS = torch.tensor([[0, 1], [2, 3]]), torch.tensor([[0, -1], [5, 3]])


def ranks(x: torch.Tensor) -> torch.Tensor:
    """Maps as a sequence."""
    return x.flatten(1, 2)


def windows(x: torch.Tensor) -> torch.Tensor:
    """Windows of maps as a Swin transformer takes them."""
    return x.view(-1, 4, 2, 4, 2, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, 4)


STEPS: dict[str, list[Any]] = {
    "norms": [
        nn.LayerNorm(8),
        nn.LayerNorm((8, 8), elementwise_affine=False),
        nn.RMSNorm(8),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm2d(4, affine=True),
        nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)),
        lambda x: functional.normalize(x, dim=1),
        lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
        lambda x: (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True, unbiased=False) + 1e-6),
    ],
    "activations": [
        *(nn.ReLU(True), nn.ReLU6(True), nn.Hardtanh(-0.5, 0.75), nn.PReLU(4), nn.PReLU(), nn.LeakyReLU(0.2, True)),
        *(nn.ELU(0.5, True), nn.SELU(), nn.CELU(2.0), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(True)),
        *(nn.Mish(True), nn.Hardswish(True), nn.Hardsigmoid(True), nn.Sigmoid(), nn.LogSigmoid(), nn.Tanh()),
        *(nn.Softplus(), nn.Softplus(2.0), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(), nn.Hardshrink()),
        *(nn.GLU(1), nn.RReLU(), nn.Softmax(1), nn.LogSoftmax(-1), nn.Threshold(0.1, 0.2)),
        *(lambda x: x.clamp(-0.5, 0.5), lambda x: x.clamp(min=-0.1), lambda x: (x + 1).clamp_(0, 1)),
    ],
    "functions": [
        *(torch.exp, torch.abs, torch.neg, torch.sin, torch.cos, torch.erf, torch.square, torch.round),
        *(lambda x: (x.abs() + 1).log(), lambda x: x.abs().sqrt(), lambda x: (x.abs() + 1).rsqrt(), lambda x: x**3),
        *(lambda x: 2**x, lambda x: 1 / (x.abs() + 1), lambda x: torch.minimum(x, x * 2), lambda x: x.cumsum(1)),
        *(lambda x: torch.maximum(x, x + 1), lambda x: x.topk(2, 1)[0], lambda x: x.sort(1, descending=True)[0]),
    ],
    "more": [
        *(nn.LocalResponseNorm(2), nn.Sequential(nn.Unfold(2, stride=2), nn.Fold(8, 2, stride=2))),
        *(lambda x: torch.asin(x.tanh()), torch.sinh, torch.exp2, lambda x: (x.abs() + 1).log10()),
        nn.Sequential(nn.Unflatten(1, (2, 2)), nn.MaxPool3d((1, 2, 2)), nn.Flatten()),
        nn.Sequential(nn.Unflatten(1, (2, 2)), nn.AvgPool3d(2, padding=(1, 0, 0)), nn.Flatten()),
        nn.Sequential(nn.Unflatten(1, (2, 2)), nn.Upsample(scale_factor=2, mode="trilinear"), nn.Flatten()),
        lambda x: functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1).tanh(), align_corners=False),
        lambda x: x.slice_scatter(x[:, :, :2] * 2, 2, 3, 5),
        lambda x: x.select_scatter(x[:, 0] + 1, 1, -1),
    ],
    "arithmetic": [
        *(lambda x: x + 1, lambda x: x * 2.5, lambda x: 2 - x, lambda x: x / 2, lambda x: x // 0.3),
        *(lambda x: x.add(x, alpha=2), lambda x: torch.sub(x, x, alpha=3), lambda x: torch.rsub(x, 2, alpha=2)),
        *(lambda x: torch.add(x, 2, alpha=3), lambda x: torch.addcmul(x, x, x, value=0.5), lambda x: x % 0.7),
        *(lambda x: x + x.mean(1, keepdim=True), lambda x: x + x.mean((2, 3), keepdim=True), lambda x: x + TOKEN),
        *(lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), lambda x: x.div(0.3, rounding_mode="trunc")),
        *(lambda x: torch.lerp(x, x * 2, 0.5), lambda x: (x * 1).add_(1).mul_(2).sub_(1).div_(2)),
    ],
    "products": [
        *(lambda x: x @ x.mT, lambda x: torch.bmm(x[:, 0], x[:, 1]), lambda x: torch.einsum("bhid,bhjd->bhij", x, x)),
        lambda x: torch.baddbmm(x[:, 0], x[:, 1], x[:, 2], beta=0.5, alpha=2),
        lambda x: functional.scaled_dot_product_attention(x, x, x),
        lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
        lambda x: functional.scaled_dot_product_attention(x, x, x, attn_mask=MASK),
        lambda x: functional.scaled_dot_product_attention(x, x, x, attn_mask=TOKEN[0, 0]),
        lambda x: ((x @ x.mT) / 8**0.5).masked_fill(~MASK, float("-inf")).softmax(-1) @ x,
        lambda x: ((x @ x.mT) * 0.3 + LOW).softmax(-1) @ x,
        nn.Sequential(nn.Flatten(1, 2), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)),
    ],
    "pooling": [
        *(nn.AvgPool2d(2), nn.AvgPool2d(3, 2, ceil_mode=True), nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
        *(nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.AvgPool2d(2, divisor_override=3)),
        *(nn.AdaptiveAvgPool2d(3), nn.AdaptiveAvgPool2d(4), nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((None, 1))),
        *(nn.AdaptiveMaxPool2d(3), nn.AdaptiveMaxPool2d(1), nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
        *(nn.MaxPool2d(2, 3, ceil_mode=True), nn.MaxPool2d(2, 1, dilation=2), nn.LPPool2d(2, 2)),
    ],
    "pooling of sequences": [
        nn.Sequential(nn.Flatten(1, 2), pool)
        for pool in (
            *(nn.AvgPool1d(2), nn.AvgPool1d(3, 2, 1, ceil_mode=True), nn.MaxPool1d(3, 2, 1), nn.AdaptiveAvgPool1d(3)),
            *(nn.AdaptiveMaxPool1d(3), nn.AdaptiveMaxPool1d(1), nn.AdaptiveAvgPool1d(1)),
        )
    ],
    "reductions": [
        *(
            lambda x: x.mean(1),
            lambda x: x.mean((1, 2)),
            lambda x: x.sum(1),
            lambda x: x.amax(1),
            lambda x: x.max(1)[0],
        ),
        *(lambda x: x.amin((2, 3)), lambda x: x.min(1).values, lambda x: x.var(1), lambda x: x.norm(dim=1)),
        *(lambda x: x.std((2, 3), keepdim=True), lambda x: x.norm(p=1, dim=1), lambda x: x.logsumexp(1)),
        *(lambda x: x.prod(1), lambda x: sum(torch.var_mean(x, 1)), lambda x: x.norm(p=float("inf"), dim=1)),
        lambda x: x * (x.argmax(1, keepdim=True) == 1),
    ],
    "parts": [
        *(lambda x: x.chunk(2, 1)[0] * x.chunk(2, 1)[1], lambda x: x.split(3, 1)[0], lambda x: x.split([1, 3], 1)[1]),
        *(lambda x: torch.stack([x, x * 2], 1), lambda x: torch.tensor_split(x, 3, 1)[0], lambda x: x.narrow(1, 1, 2)),
        *(lambda x: x.unbind(1)[0] + x.unbind(1)[3], lambda x: torch.hstack([x, x]), lambda x: x[..., ::2, 1:-1]),
        *(lambda x: x.roll((1, -2), (2, 3)), lambda x: x.flip(2, 3), lambda x: x[:, [0, 2, 1]], lambda x: x[:, :, 1]),
        *(lambda x: x.index_select(1, torch.tensor([0, 2])), lambda x: x[:, :, ROWS, COLUMNS], torch.triu),
        *(lambda x: x.unfold(2, 3, 2), nn.Unfold(2), nn.Unfold(3, padding=1, stride=2), lambda x: x.tril(-1)),
        *(lambda x: x.diagonal(1, 3, 2), lambda x: torch.cat([x.new_zeros(x.size(0), 1, 8, 8), x], 1)),
        lambda x: x[torch.arange(x.size(0)), x.flatten(2).sum(-1).argmax(1)],
    ],
    "layout": [
        *(nn.Sequential(nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ChannelShuffle(2)), nn.Unflatten(1, (2, 2))),
        *(lambda x: x[:, :1].expand(-1, 4, -1, -1) + x, lambda x: x.repeat(1, 2, 1, 1), lambda x: x.tile(1, 1, 2, 1)),
        *(lambda x: x.repeat_interleave(2, 1), lambda x: torch.cat([TOKEN.expand(x.size(0), -1, -1, -1), x], 1)),
        *(lambda x: torch.cat([TOKEN.repeat(x.size(0), 1, 1, 1), x], 1), lambda x: x.view(x.size(0), -1)),
        *(lambda x: x.view(x.size(0) * 4, 64).view(-1, 4, 64) + 0.5, lambda x: x.permute(0, 2, 3, 1)),
        *(lambda x: x.movedim(1, -1), lambda x: x.swapaxes(1, 3), lambda x: windows(x).reshape(-1, 4, 64)),
        *(lambda x: x.unsqueeze(1).expand(-1, 3, -1, -1, -1), lambda x: x[:, :1].squeeze(1)),
    ],
    "paddings": [
        *(nn.ZeroPad2d(1), nn.ReflectionPad2d(1), nn.ReplicationPad2d((1, 2, 0, 1)), nn.CircularPad2d((1, 2, 0, 1))),
        *(nn.ConstantPad2d(1, 0.7), lambda x: functional.pad(x, (-1, -1)), nn.Conv2d(4, 4, (3, 2), padding="same")),
        *(nn.Conv2d(4, 4, 3, padding=1, padding_mode=mode) for mode in ("circular", "reflect", "replicate")),
    ],
    "masks": [
        *(lambda x: torch.where(x > 0, x, x * 2), lambda x: torch.where(x > 0, x, 0.0)),
        *(lambda x: x.masked_fill(x < 0, 0.5), lambda x: x * ((x > 0) & (x < 1) | ~(x != 0) | (x <= -1)).float()),
    ],
    "sizes": [
        nn.Sequential(nn.Upsample(**settings), nn.ReLU())
        for settings in (
            *({"scale_factor": 2}, {"size": (5, 13), "mode": "nearest-exact"}, {"size": (5, 13), "mode": "bicubic"}),
            *({"size": (16, 12), "mode": "bilinear"}, {"scale_factor": 1.3, "mode": "bilinear"}),
            {"scale_factor": 2, "mode": "bicubic", "align_corners": True},
        )
    ]
    + [
        lambda x: functional.interpolate(ranks(x), scale_factor=2) + 0,
        lambda x: functional.interpolate(ranks(x), scale_factor=2, mode="linear"),
        lambda x: functional.interpolate(x, scale_factor=0.5, mode="area"),
        lambda x: functional.interpolate(x, size=(4, 4), mode="bilinear", antialias=True),
    ],
}


class _Beside(nn.Module):
    """Steps beside each other, and all that they give in one row."""

    def __init__(self, steps: list[Any]) -> None:
        super().__init__()
        self.first, self.steps = nn.Conv2d(2, 4, 1), steps
        self.modules_of_steps = nn.ModuleList(step for step in steps if isinstance(step, nn.Module))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return torch.cat([step(x * 1).reshape(x.size(0), -1) for step in self.steps], 1)


def walked(network: QuantizedNetwork, folder: Path, inputs: torch.Tensor) -> Walk:
    """The walk through the network's file."""
    codes = OnnxRuntime().codes(network, written(network, folder), inputs.numpy())
    assert codes is not None, "a session that gives codes gives other outputs"
    return walk(network, codes, inputs)


@pytest.mark.parametrize("kind", STEPS)
def test_codes_are_those_of_the_reference(kind: str, tmp_path: Path) -> None:
    """Bit for bit in integers, within a step behind floats, on inputs that leave the calibrated range."""
    generator = torch.Generator().manual_seed(0)
    sample, other = (torch.randn(8, 2, 8, 8, generator=generator) * scale for scale in (1.0, 1.3))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = _Beside(STEPS[kind]).eval()
    network = quantized(module, sample)
    found = walked(network, tmp_path, other)
    assert found.differing == {}
    assert found.compared > 0
    given = in_runtime(tmp_path / "model.onnx", sample)
    with torch.no_grad():
        wanted = module(sample)
    assert given.shape == wanted.shape
    assert float((given - wanted).norm() / wanted.norm()) < 0.1


@pytest.mark.parametrize("seed", range(2))
def test_windows_of_any_geometry(seed: int, tmp_path: Path) -> None:
    """Kernels, strides, paddings, dilations and ceil modes of pooling and convolution, drawn at random."""
    rng = np.random.default_rng(seed)

    def numbers(low: int, high: int) -> tuple[int, int]:
        first, second = (int(value) for value in rng.integers(low, high, 2))
        return first, second

    steps: list[nn.Module] = []
    for _ in range(4):
        kernel = numbers(1, 4)
        padding = tuple(int(rng.integers(0, size // 2 + 1)) for size in kernel)
        ceil, count = (bool(flag) for flag in rng.integers(0, 2, 2))
        steps += [
            nn.AvgPool2d(kernel, numbers(1, 4), padding, ceil_mode=ceil, count_include_pad=count),
            nn.MaxPool2d(kernel, numbers(1, 4), padding, dilation=numbers(1, 3), ceil_mode=ceil),
            nn.Conv2d(4, 4, kernel, numbers(1, 4), numbers(0, 3), numbers(1, 3), groups=int(rng.choice([1, 2, 4]))),
        ]
    sample = torch.randn(4, 2, 9, 8, generator=torch.Generator().manual_seed(seed))
    network = quantized(_Beside(steps).eval(), sample)
    assert walked(network, tmp_path, sample * 1.3).differing == {}


def test_means_of_a_ceil_mode_are_torchs(tmp_path: Path) -> None:
    """Of 1..16 as 4 x 4: windows that reach over the edge count what is inside."""
    maps = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
    network = quantized(nn.AvgPool2d(3, 2, ceil_mode=True), maps.repeat(2, 1, 1, 1))
    given = in_runtime(written(network, tmp_path), maps).flatten()
    assert torch.allclose(given, torch.tensor([6.0, 7.5, 12.0, 13.5]), atol=0.04)


def test_interpolation_brings_no_table_of_floats(tmp_path: Path) -> None:
    """A bicubic resize is one operation, not a matrix of weights for each axis."""
    import onnx

    sample = torch.randn(4, 2, 24, 24, generator=torch.Generator().manual_seed(0))
    network = quantized(nn.Sequential(nn.Upsample(size=(20, 31), mode="bicubic"), nn.Conv2d(2, 3, 1)), sample)
    assert walked(network, tmp_path, sample).differing == {}
    model = onnx.load(tmp_path / "model.onnx")
    assert max(onnx.numpy_helper.to_array(tensor).size for tensor in model.graph.initializer) < 20


def test_a_walk_names_what_differs(tmp_path: Path) -> None:
    """A weight that the file does not have shows at its layer, and nowhere behind it."""
    sample = torch.randn(8, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    module = nn.Sequential(nn.Conv2d(2, 4, 1), nn.SiLU(), nn.Conv2d(4, 4, 1), nn.SiLU())
    network = quantized(module, sample)
    found = walked(network, tmp_path, sample)
    assert found.differing == {}
    assert found.float_operations == 0.5
    codes = OnnxRuntime().codes(network, tmp_path / "model.onnx", sample.numpy())
    assert codes is not None
    network.layers[1].weight.data[0] += 1.0
    assert list(walk(network, codes, sample).differing) == ["layer_conv2d_1"]
