"""Peak memory by hand, of blocks in their surroundings, and what kernels do."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.integer.kernels import kernels_of
from evo_qnas.networks.integer.memory import block_peaks, live_bytes, peak_memory, surroundings, tensors_of
from evo_qnas.networks.models.layers import Residual, conv_bn, inverted_residual
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize

EIGHT = Bits(weight=8, activation=8)


def quantized(module: nn.Module, *shape: int, blocks: tuple[str, ...] = ()) -> QuantizedNetwork:
    policy = Policy(fixed=EIGHT, blocks=dict.fromkeys(blocks, EIGHT))
    return quantize(module.eval(), torch.zeros(2, *shape), policy)


def test_a_chain_by_hand() -> None:
    """Image 3 x 8 x 8 = 192, then 8 x 8 x 8 = 512, 16 x 4 x 4 = 256, 4 x 4 x 4 = 64; each step holds two neighbours."""
    chain = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.Conv2d(16, 4, 1)
    )
    network = quantized(chain, 3, 8, 8)
    assert live_bytes(tensors_of(network)) == [192, 704, 768, 320]
    assert peak_memory(network) == 768


def test_a_shortcut_keeps_its_input() -> None:
    """Input 128, hidden 512: while the projection is written 128 + 512 + 128 live, and with the sum 128 x 3."""
    block = Residual(nn.Sequential(nn.Conv2d(8, 32, 1), nn.ReLU6(), nn.Conv2d(32, 8, 1)))
    network = quantized(block, 8, 4, 4)
    assert live_bytes(tensors_of(network)) == [128, 640, 768, 384]
    assert block_peaks(network) == (768, 768)
    plain = quantized(nn.Sequential(nn.Conv2d(8, 32, 1), nn.Conv2d(32, 8, 1)), 8, 4, 4)
    assert block_peaks(plain) == (640, 768)


def test_moves_copy_but_for_views() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    assert live_bytes(tensors_of(quantized(module, 1, 4, 4))) == [16, 80, 80, 19]


def test_upsampling_at_the_end_is_not_counted() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Upsample(scale_factor=8, mode="bilinear"))
    assert peak_memory(quantized(module, 1, 4, 4)) == 16 + 32


class Skipping(nn.Module):
    """A feature map that lives on across both blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(3, 8, kernel=3)
        self.one = inverted_residual(8, 12, kernel=3, expansion=2, stride=2)
        self.two = conv_bn(12, 8)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        early = self.stem(x)
        late = nn.functional.interpolate(self.two(self.one(early)), scale_factor=2.0)
        return self.head(torch.cat([early, late], 1))


REPLACEMENTS = {
    "teacher": None,
    "wide": inverted_residual(8, 12, kernel=5, expansion=12, stride=2),
    "lean": conv_bn(8, 12, kernel=3, stride=2),
}


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_the_largest_of_blocks_and_fixed_part_is_the_networks_peak(name: str) -> None:
    """What tables hold, put together, against the whole network."""
    teacher = Skipping().eval()
    around, fixed = surroundings(quantized(teacher, 3, 8, 8, blocks=("one", "two")), ("one", "two"))
    assert (around["one"].others, around["one"].kept) == (0, True)
    assert (around["two"].others, around["two"].kept) == (512, False)
    one = REPLACEMENTS[name] or teacher.one
    parts = {"one": (quantized(one, 8, 8, 8)), "two": quantized(teacher.two, 12, 4, 4)}
    peaks = [around[block].others + block_peaks(made)[around[block].kept] for block, made in parts.items()]
    whole = quantized(assemble(teacher, {"one": one}), 3, 8, 8)
    assert max(fixed, *peaks) == peak_memory(whole)


def test_kernels_by_hand() -> None:
    block = Residual(nn.Sequential(nn.Conv2d(8, 32, 1), nn.ReLU6(), nn.Conv2d(32, 8, 3, padding=1)))
    found = kernels_of(quantized(block, 8, 4, 4))
    assert [(kernel.macs, kernel.weights, kernel.values) for kernel in found] == [
        (8 * 32 * 16, 256, 128 + 512),
        (32 * 8 * 9 * 16, 2304, 512 + 128),
        (0, 0, 3 * 128),
    ]
    network = quantized(Skipping(), 3, 8, 8, blocks=("one", "two"))
    assert sum(kernel.macs for kernel in kernels_of(network)) == sum(layer.macs for layer in network.layers)
    assert [kernel.block for kernel in kernels_of(network, ("one", "two"))] == [
        "",
        "one",
        "one",
        "one",
        "two",
        *[""] * 3,
    ]


def test_a_block_in_floats_takes_four_bytes_a_value() -> None:
    """72 codes in, their 288 bytes of floats, 27 floats and 27 codes out; the activation works in place."""
    module = nn.Sequential(nn.Conv2d(8, 3, 1), nn.ReLU(), nn.Flatten()).eval()
    x = torch.randn(2, 8, 3, 3)
    network = quantize(module, x, Policy(fixed=Bits(weight=16, activation=32)))
    assert sorted((t.made, t.size) for t in tensors_of(network)) == [(0, 72), (1, 108), (1, 288), (2, 27)]
    assert block_peaks(network)[0] == 72 + 288 + 108
    convolution, rounding = kernels_of(network)
    assert (convolution.macs, convolution.weights, convolution.values) == (8 * 27, 27, 72 + 108)
    assert (rounding.macs, rounding.weights, rounding.values) == (0, 0, 108 + 27)
