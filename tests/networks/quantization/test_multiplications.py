"""Multiplications of whole networks against torch's own counter."""

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from evo_qnas.networks.integer.kernels import kernels_of
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize

EIGHT = Bits(weight=8, activation=8)


class _Attention(nn.Module):
    """As a MobileViT has it: tokens of maps, heads, two products, a projection."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.enter, self.leave, self.conv = nn.Linear(8, 24), nn.Linear(8, 8), nn.Conv2d(3, 8, 3, padding=1)
        self.fused = fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.conv(x)
        n, c, h, w = maps.shape
        tokens = maps.reshape(n, c, h * w).transpose(1, 2)
        query, key, value = self.enter(tokens).reshape(n, h * w, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            mixed = scaled_dot_product_attention(query, key, value)
        else:
            mixed = (query * 0.5 @ key.transpose(-2, -1)).softmax(-1) @ value
        leaving: torch.Tensor = self.leave(mixed.transpose(1, 2).reshape(n, h * w, c))
        return leaving.transpose(1, 2).reshape(n, c, h, w)


class _First(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.inner(x)[0]
        return result


class _Einsum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nchw,ndhw->ncd", x, x)


CASES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "attention": (lambda: _Attention(fused=False), (3, 6, 6)),
    "fused attention": (lambda: _Attention(fused=True), (3, 6, 6)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1), (4, 5, 5)),
    "transposed 1d": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2), (4, 5)),
    "depthwise": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 2, 1, stride=2)), (4, 7, 7)),
    "gru": (lambda: _First(nn.GRU(5, 6, batch_first=True, bidirectional=True)), (3, 5)),
    "lstm": (lambda: _First(nn.LSTM(5, 6, num_layers=2, batch_first=True)), (3, 5)),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (6, 8)),
    "einsum": (_Einsum, (4, 3, 3)),
    "padded": (lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (3, 6, 6)),
}


@pytest.mark.parametrize("name", CASES)
def test_multiplications_are_half_of_what_torch_counts(name: str) -> None:
    build, shape = CASES[name]
    module, x = build().eval(), torch.randn(1, *shape)
    network = quantize(module, x, Policy(fixed=EIGHT))
    # Without values no kernel hides its products from the counter.
    abstract, counter = copy.deepcopy(module).to("meta"), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        abstract(x.to("meta"))
    costs = costs_of(network, 8)
    assert costs.macs == counter.get_total_flops() // 2 > 0
    assert costs.bit_operations == costs.macs * 64
    assert sum(kernel.macs for kernel in kernels_of(network)) == costs.macs


class _Table(nn.Module):
    """A table of positions that a layer makes, anew in each run."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.positions = nn.Linear(4, 4), nn.Parameter(torch.randn(5, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x) + self.layer(self.positions)
        return result


def test_what_depends_on_no_input_is_multiplied_once() -> None:
    network = quantize(_Table(), torch.randn(2, 5, 4), Policy(fixed=EIGHT))
    assert (costs_of(network, 8).macs, network.folded_macs, network.clone().folded_macs) == (80, 80, 80)


def test_products_belong_to_the_block_in_which_they_are() -> None:
    network = quantize(
        nn.Sequential(nn.Conv2d(3, 3, 1), _Attention(fused=False)),
        torch.randn(2, 3, 6, 6),
        Policy(fixed=EIGHT, blocks={"1": Bits(weight=4, activation=4)}),
    )
    assert [product.block for product in network.products] == ["1", "1"]
    # Two heads of 36 x 36 scores of 4 products each, twice.
    assert sum(product.macs for product in network.products) == 2 * 2 * 36 * 36 * 4
    whole, fixed, block = (costs_of(network, 4, block=part) for part in (None, "", "1"))
    assert whole.macs == fixed.macs + block.macs
    assert whole.size_bytes == fixed.size_bytes + block.size_bytes
    assert fixed.macs == 9 * 36
