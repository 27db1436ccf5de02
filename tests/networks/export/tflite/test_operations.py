"""Operations in TFLite files, with the kernels of every build and with XNNPACK, against the reference."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas.networks.integer.reference import run_in_integers
from tests.networks.export.tflite.conftest import Function, differing, made, outputs

ACTIVATIONS: dict[str, Function] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "mish": functional.mish,
    "elu": functional.elu,
    "elu_half": lambda x: functional.elu(x, 0.5),
    "selu": functional.selu,
    "celu": lambda x: functional.celu(x, 2.0),
    "leaky": lambda x: functional.leaky_relu(x, 0.2),
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": lambda x: functional.softplus(x, 2.0),
    "logsigmoid": functional.logsigmoid,
    "softmax": lambda x: torch.softmax(x, 1),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "glu": lambda x: functional.glu(x, 1),
    "hardshrink": functional.hardshrink,
    "clamped": lambda x: x.clamp(-0.5, 0.7) * 2,
}
ELEMENTARY: dict[str, Function] = {
    "exp": torch.exp,
    "abs": torch.abs,
    "neg": torch.neg,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "atan": torch.atan,
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "sqrt": lambda x: (x.abs() + 0.1).sqrt(),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 0.3),
    "log": lambda x: (x.abs() + 0.5).log(),
    "add": lambda x: x + 1.5,
    "from": lambda x: 2 - x,
    "times": lambda x: x * 0.3,
    "over": lambda x: x / 3,
    "under": lambda x: 1 / (x.abs() + 1),
    "where": lambda x: torch.where(x > 0.1, x, x * 0.1),
    "masked": lambda x: x.masked_fill(torch.eye(9)[:7].bool(), 0.0),
    "extremes": lambda x: torch.maximum(x, x.flip(2)) - torch.minimum(x, x.roll(1, 3)),
    "parameters": lambda x: x * torch.linspace(0.5, 1.0, 6).view(6, 1, 1) + torch.linspace(0.0, 1.0, 9),
}
REDUCTIONS: dict[str, Function] = {
    "over_channels": lambda x: x.mean(1),
    "over_maps": lambda x: x.mean((2, 3)),
    "kept": lambda x: x.mean((2, 3), keepdim=True),
    "over_columns": lambda x: x.mean(-1),
    "sum": lambda x: x.sum(1, keepdim=True),
    "var": lambda x: x.var(1),
    "std": lambda x: x.std((2, 3), unbiased=False),
    "norm": lambda x: functional.normalize(x, dim=1),
    "logsumexp": lambda x: x.logsumexp(1),
    "cumsum": lambda x: x.cumsum(2),
    "adaptive": lambda x: functional.adaptive_avg_pool2d(x, (3, 4)),
    "whole": lambda x: functional.adaptive_avg_pool2d(x, 1) + x,
    "avg_ceil": lambda x: functional.avg_pool2d(x, 4, 3, 1, ceil_mode=True),
    "avg_padded": lambda x: functional.avg_pool2d(x, 3, 2, 1),
    "avg_inside": lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_divisor": lambda x: functional.avg_pool2d(x, 2, divisor_override=3),
    "bicubic": lambda x: functional.interpolate(x, (11, 13), mode="bicubic"),
    "bilinear": lambda x: functional.interpolate(x, (11, 13), mode="bilinear", align_corners=True) * 1.0,
    "matmul": lambda x: x @ x.transpose(2, 3),
    "columns": lambda x: functional.unfold(x, 3, padding=1),
    "triangle": lambda x: (x @ x.transpose(2, 3)).tril() * 2.0,
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
}
# A layout operation gives the very codes of its input.
# Positions, other ones for each row.
PLACES = torch.randint(7, (1, 6, 7, 5), generator=torch.Generator().manual_seed(2))
MOVES: dict[str, Function] = {
    "chunks": lambda x: x.chunk(2, 1)[1],
    "split": lambda x: x.split([1, 3, 2], 1)[2],
    "unbound": lambda x: x.unbind(3)[4],
    "rolled": lambda x: x.roll((2, -3), (2, 3)),
    "flipped": lambda x: x.flip(1, 3),
    "shuffled": lambda x: functional.channel_shuffle(x, 3),
    "unshuffled": lambda x: functional.pixel_unshuffle(x[..., :6, :8], 2),
    "depth": lambda x: functional.pixel_shuffle(x[:, :4], 2),
    "repeated": lambda x: x.repeat(1, 2, 1, 2),
    "interleaved": lambda x: x.repeat_interleave(2, 2),
    "expanded": lambda x: x[:, :, :1].expand(-1, -1, 4, -1),
    "reflected": lambda x: functional.pad(x, (1, 2, 2, 1), mode="reflect"),
    "replicated": lambda x: functional.pad(x, (1, 2, 2, 1), mode="replicate"),
    "circular": lambda x: functional.pad(x, (1, 2, 2, 1), mode="circular"),
    "cut": lambda x: functional.pad(x, (-1, 2, 0, 1)),
    "chosen": lambda x: x[:, [0, 2, 5]],
    "gathered": lambda x: x.gather(3, PLACES.expand(x.size(0), -1, -1, -1)),
    "fewer": lambda x: x.permute(0, 2, 3, 1).gather(1, PLACES[:, :2, :3, :4].expand(x.size(0), -1, -1, -1)),
    "pairs": lambda x: x[:, torch.tensor([[0, 1], [2, 3]]), torch.tensor([1, 2])],
    "largest": lambda x: x.amax((2, 3)),
    "of_axis": lambda x: x.max(1)[0],
    "pooled": lambda x: functional.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    "parts": lambda x: functional.adaptive_max_pool2d(x, (3, 2)),
    "nearest": lambda x: functional.interpolate(x, scale_factor=1.5)[:, :3],
    "exact": lambda x: functional.interpolate(x, (11, 13), mode="nearest-exact"),
    "moved": lambda x: x.movedim(1, -1),
    "turned": lambda x: x.permute(0, 3, 1, 2).reshape(-1, 9, 42).transpose(1, 2),
    "windows": lambda x: x[..., :6, :8].reshape(-1, 6, 3, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 6),
    "flat": lambda x: x.view(x.size(0), -1),
}
GROUPS = {"activations": ACTIVATIONS, "elementary": ELEMENTARY, "reductions": REDUCTIONS}


@pytest.mark.parametrize("group", GROUPS)
def test_operations_in_floats_are_right_to_a_step(group: str) -> None:
    network, examples = made(GROUPS[group], (6, 7, 9))
    assert differing(network, examples) == {}
    # Kernels without XNNPACK round integer sums and products in fixed point, which is one step more.
    assert max(differing(network, examples, delegate=False).values(), default=0) <= 2


def test_layout_operations_move_codes_and_change_none() -> None:
    network, examples = made(MOVES, (6, 7, 9))
    assert len(network.quantizers) == 1
    given, target = outputs(network, examples), run_in_integers(network, examples)
    for name, tensor in target.items():
        np.testing.assert_array_equal(given[name], tensor.numpy(), err_msg=name)


@pytest.mark.parametrize(("mode", "values"), [(True, [6.0, 7.5, 12.0, 13.5]), (False, [6.0])])
def test_means_in_ceil_mode_count_what_lies_inside(mode: bool, values: list[float]) -> None:
    """1..16 as 4 x 4, by hand."""
    network, _ = made({"mean": lambda x: functional.avg_pool2d(x, 3, 2, ceil_mode=mode)}, (1, 4, 4))
    examples = torch.arange(1.0, 17.0).view(1, 1, 4, 4)
    network.calibrate([examples])
    given = outputs(network, examples)
    np.testing.assert_allclose(given.reshape(-1), values, atol=0.06)


@pytest.mark.slow
def test_sequences_are_normalised_attended_and_pooled() -> None:
    layers: dict[str, Any] = {
        "layer_norm": lambda: nn.LayerNorm(8),
        "rms_norm": lambda: nn.RMSNorm(8),
        "group_norm": lambda: nn.GroupNorm(2, 6),
        "instance_norm": lambda: nn.InstanceNorm1d(6, affine=True),
        "attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"),
        "prelu": lambda: nn.PReLU(6),
        "linear": lambda: nn.Linear(8, 4),
        "conv": lambda: nn.Conv1d(6, 4, 3, stride=2, padding=2, dilation=2),
        "depthwise": lambda: nn.Conv1d(6, 6, 3, padding=1, groups=6, padding_mode="circular"),
        "transposed": lambda: nn.ConvTranspose1d(6, 3, 4, 2, 1),
        "gru": lambda: nn.Sequential(nn.GRU(8, 5, batch_first=True), First()),
    }
    functions: dict[str, Function] = {
        "max": lambda x: functional.max_pool1d(x, 3, 2, 1),
        "mean": lambda x: functional.avg_pool1d(x, 3, 2, 1),
        "adaptive": lambda x: functional.adaptive_avg_pool1d(x, 3),
        "linear_up": lambda x: functional.interpolate(x, scale_factor=2, mode="linear"),
        "nearest_up": lambda x: functional.interpolate(x, scale_factor=3),
        "causal": lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True),
        "stacked": lambda x: torch.stack([x, x + 1.0], 1),
    }
    network, examples = made(functions, (6, 8), layers)
    assert differing(network, examples) == {}


class First(nn.Module):
    """The first of several tensors."""

    def forward(self, tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return tensors[0]


def test_transposed_convolutions_of_every_kind() -> None:
    """Strides, cut and added rims, groups, gaps, no bias: in integers, as the reference sums them."""
    settings = [(2, 2, 0, 0, 1, 1), (3, 2, 1, 1, 3, 1), (4, 2, 1, 0, 1, 1), (3, 1, 1, 0, 1, 2), (2, 3, 0, 2, 6, 1)]
    layers = {
        f"t{index}": lambda s=setting: nn.ConvTranspose2d(
            6, 6, s[0], s[1], s[2], s[3], groups=s[4], dilation=s[5], bias=s[0] != 4
        )
        for index, setting in enumerate(settings)
    }
    network, examples = made({}, (6, 5, 7), layers)
    for delegate in (True, False):
        assert differing(network, examples, delegate=delegate) == {}


def test_transposed_convolutions_of_parts_of_each_example() -> None:
    """An example that is split into rows, as a separator of sources does, is several of the layer."""
    rows = (nn.Unflatten(1, (2, 3)), nn.Flatten(0, 1))
    layers: dict[str, Any] = {
        "maps": lambda: nn.Sequential(*rows, nn.ConvTranspose2d(3, 2, 3, 2, 1)),
        "grouped": lambda: nn.Sequential(*rows, nn.ConvTranspose2d(3, 3, 2, groups=3)),
        "lines": lambda: nn.Sequential(*rows, nn.Flatten(2), nn.ConvTranspose1d(3, 2, 4, 2)),
    }
    network, examples = made({}, (6, 5, 7), layers)
    assert differing(network, examples) == {}


def test_maps_are_normalised_in_either_layout() -> None:
    layers: dict[str, Any] = {
        "group": lambda: nn.Sequential(nn.Conv2d(6, 8, 3), nn.GroupNorm(4, 8)),
        "instance": lambda: nn.InstanceNorm2d(6),
        "behind": lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(6)),
        "rows": lambda: nn.Sequential(nn.Linear(7, 3), nn.PReLU()),
    }
    channels = {"last": lambda x: functional.layer_norm(x.permute(0, 2, 3, 1), (6,)).permute(0, 3, 1, 2)}
    network, examples = made(channels, (6, 5, 7), layers)
    assert differing(network, examples) == {}
