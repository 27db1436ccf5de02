"""Blame: the harmed layer is named, gains are what changing the part really brings, nothing given is changed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.network import QuantizedNetwork
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.scoring.blame import ANEW, FLOATS, blame, steps_of_blame, unrounded

BATCHES = torch.Generator().manual_seed(3)
INPUTS = torch.randn(48, 3, 8, 8, generator=BATCHES)
CALIBRATION = torch.randn(32, 3, 8, 8, generator=BATCHES)


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, groups=2)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(x)))


def network_of() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), Residual(8), Residual(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 5),
    ).eval()  # fmt: skip


def quantized(*, weight: int = 6, activation: int = 8) -> QuantizedNetwork:
    bits = Bits(weight=weight, activation=activation)
    policy = Policy(fixed=Bits(weight=8, activation=8), blocks={"2": bits, "3": bits})
    network = quantize(network_of(), CALIBRATION[:2], policy)
    network.calibrate([CALIBRATION])
    return network


@pytest.fixture(scope="module")
def calibrated() -> QuantizedNetwork:
    return quantized()


def half_of_the_codes(network: QuantizedNetwork, place: int) -> None:
    """Weights of a layer cut to half of their range."""
    layer = network.layers[place]
    with torch.no_grad():
        edge = layer.weight.abs().max() / 2
        layer.weight.clamp_(-edge, edge)


def wide_steps(network: QuantizedNetwork, place: int) -> None:
    """A layer's scale eight times as large, its weights rounded to few of its codes."""
    layer = network.layers[place]
    layer.scale.set(layer.scale().detach() * 8)


def narrow_range(network: QuantizedNetwork, place: int) -> None:
    """Activations cut to a quarter of their range."""
    quantizer = network.quantizers[place]
    quantizer.scale.set(quantizer.scale().detach() / 4)


def wrong_bias(network: QuantizedNetwork, place: int) -> None:
    """A bias that is off by as much as the layer's outputs vary."""
    layer = network.layers[place]
    with torch.no_grad():
        layer.bias.add_(torch.linspace(-1, 1, layer.channels))  # type: ignore[union-attr]  # all of these have one


HARMS: list[tuple[Callable[[QuantizedNetwork, int], None], str, int]] = [
    *((half_of_the_codes, "weights", place) for place in (0, 2, 4)),
    *((wide_steps, "weights", place) for place in (1, 3, 5)),
    *((narrow_range, "activations", place) for place in (1, 3, 6)),
    (wrong_bias, "weights", 2),
]


@pytest.mark.parametrize(("harm", "kind", "place"), HARMS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_the_part_that_was_harmed_is_blamed(
    calibrated: QuantizedNetwork, harm: Callable[[QuantizedNetwork, int], None], kind: str, place: int
) -> None:
    floats, harmed = unrounded(calibrated), calibrated.clone()
    harm(harmed, place)
    modules: Any = harmed.layers if kind == "weights" else harmed.quantizers
    found = blame(harmed, floats, INPUTS, CALIBRATION, detailed=1)
    worst = found.parts[0]
    assert (worst.kind, worst.name) == (kind, modules[place].name)
    assert found.blocks[0].block == worst.block
    assert worst.gains[ANEW] > 0.5 * worst.gains[FLOATS]


def test_gains_are_what_the_change_brings(calibrated: QuantizedNetwork) -> None:
    """One part in floats, by hand: the noise that is left is the whole noise less the gain."""
    floats, network = unrounded(calibrated), calibrated.clone()
    found = blame(calibrated, floats, INPUTS, CALIBRATION)
    with torch.no_grad():
        clean = floats(INPUTS)
        signal = (clean - clean.mean(dim=0)).square().sum()
        assert found.noise == pytest.approx(float((network(INPUTS) - clean).square().sum() / signal), rel=1e-5)
        part = next(part for part in found.parts if part.kind == "weights")
        layer = next(layer for layer in network.layers if layer.name == part.name)
        other = next(layer for layer in floats.layers if layer.name == part.name)
        layer.active = False
        layer.weight.copy_(other.weight)
        layer.bias.copy_(other.bias)  # type: ignore[union-attr,arg-type]  # it has one
        left = float((network(INPUTS) - clean).square().sum() / signal)
    assert found.noise - part.gains[FLOATS] == pytest.approx(left, rel=1e-4, abs=1e-9)
    assert part.module in {"0", "2.first", "2.second", "3.first", "3.second", "6"}
    assert list(part.gains) == [FLOATS, ANEW, *(f"{bits} bits" for bits in range(part.bits + 1, 9))]


def test_more_bits_bring_more_where_few_are_to_blame() -> None:
    network = quantized(weight=2)
    worst = blame(network, unrounded(network), INPUTS, CALIBRATION, detailed=1).parts[0]
    gains = [worst.gains[f"{bits} bits"] for bits in (3, 4, 6)]
    assert worst.bits == 2
    assert gains == sorted(gains)
    assert gains[-1] == pytest.approx(worst.gains[FLOATS], rel=0.3)


def test_nothing_given_is_changed_and_every_step_is_counted(calibrated: QuantizedNetwork) -> None:
    floats, steps = unrounded(calibrated), list[int]()
    with torch.no_grad():
        before, clean = calibrated(INPUTS), floats(INPUTS)
        first = blame(calibrated, floats, INPUTS, CALIBRATION, detailed=2, advance=steps.append)
        torch.testing.assert_close(calibrated(INPUTS), before, rtol=0, atol=0)
        torch.testing.assert_close(floats(INPUTS), clean, rtol=0, atol=0)
    assert sum(steps) == steps_of_blame(calibrated, detailed=2)
    again = blame(calibrated, floats, INPUTS, CALIBRATION, detailed=2)
    assert [part.gains for part in again.parts] == [part.gains for part in first.parts]


def test_printed_it_is_the_sentence_and_the_worst_parts(calibrated: QuantizedNetwork) -> None:
    found = blame(calibrated, unrounded(calibrated), INPUTS, CALIBRATION, detailed=1)
    first, head, *rows = str(found).splitlines()
    assert first == found.sentence
    assert head.split()[:2] == ["part", "bits"]
    assert [row.split()[0] for row in rows] == [part.module or part.name for part in found.parts[:10]]
    assert all(row.endswith("%") and not row.endswith(" -0%") for row in rows)


def test_a_restored_network_is_blamed_like_the_one_that_was_stored(calibrated: QuantizedNetwork) -> None:
    restored = quantized().clone()
    restored.restore(calibrated.stored())
    one, other = (blame(network, unrounded(calibrated), INPUTS, CALIBRATION) for network in (calibrated, restored))
    assert other.noise == pytest.approx(one.noise, rel=1e-3)
    assert [part.name for part in other.parts[:3]] == [part.name for part in one.parts[:3]]


def test_networks_that_do_not_belong_together_are_refused(calibrated: QuantizedNetwork) -> None:
    other = quantize(nn.Sequential(nn.Conv2d(3, 4, 1)), CALIBRATION[:2], Policy(fixed=Bits(weight=8, activation=8)))
    with pytest.raises(NetworkError, match=r"other layers than the quantized one"):
        blame(calibrated, other, INPUTS, CALIBRATION)
    constant = INPUTS[:1].expand(4, -1, -1, -1)
    with pytest.raises(NetworkError, match=r"the same for every example"):
        blame(calibrated, unrounded(calibrated), constant, CALIBRATION)
