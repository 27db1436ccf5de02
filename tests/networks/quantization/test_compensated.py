"""Calibration with error compensation: less noise, codes as ever, and nearest rounding where it cannot be."""

import logging

import pytest
import torch
from torch import nn

from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization import compensated, compensation
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.recipe import Recipe


def calibrated(module: nn.Module, x: torch.Tensor, rounding: str, bits: int = 3) -> QuantizedNetwork:
    policy = Policy(fixed=Bits(weight=bits, activation=8), recipe=Recipe(rounding=rounding))
    network = quantize(module.eval(), x[:2], policy)
    network.calibrate(x.split(16))
    return network


@torch.no_grad()
def noise(network: nn.Module, module: nn.Module, x: torch.Tensor) -> float:
    wanted = module(x)
    return float((network(x) - wanted).square().mean() / wanted.var())


@pytest.mark.parametrize("bits", [3, 4])
def test_outputs_are_nearer_on_other_images(teacher: nn.Module, images: torch.Tensor, bits: int) -> None:
    own, other = images[:32], images[32:]
    plain, found = (noise(calibrated(teacher, own, name, bits), teacher, other) for name in ("nearest", "compensated"))
    assert found < 0.7 * plain


def test_integers_give_what_fake_quantization_gives(teacher: nn.Module, images: torch.Tensor) -> None:
    network = calibrated(teacher, images, "compensated")
    with torch.no_grad():
        floats = network(images)
    step = float(network.quantizers[-1].scale().detach())
    assert float((run_in_integers(network, images) - floats).abs().max()) <= 1.01 * step


def test_chunks_of_columns_are_compensated_each(
    teacher: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = calibrated(teacher, images, "compensated")
    monkeypatch.setattr(compensation, "MOST_COLUMNS", 5)
    chunked = calibrated(teacher, images, "compensated")
    plain = calibrated(teacher, images, "nearest")
    errors = [noise(network, teacher, images) for network in (whole, chunked, plain)]
    assert errors[0] < errors[1] < errors[2]


def test_examples_are_left_out_where_memory_ends(
    teacher: nn.Module, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compensated, "_MOST_BYTES", 1)
    few = calibrated(teacher, images, "compensated")
    chosen = calibrated(teacher, images[[0, -1]], "compensated")
    assert all(
        torch.equal(one.weight_codes(), other.weight_codes())
        for one, other in zip(few.layers, chosen.layers, strict=True)
    )


class _Mixed(nn.Module):
    """Each example is seen beside the mean of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.first(x)
        return self.second(torch.relu(hidden.flip(0)).cumsum(0))


def test_a_network_that_mixes_its_examples_is_rounded_to_nearest(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    module, x = _Mixed(), torch.randn(16, 4)
    with caplog.at_level(logging.WARNING):
        found = calibrated(module, x, "compensated")
    assert "mixes the examples of a batch" in caplog.text
    plain = calibrated(module, x, "nearest")
    assert all(torch.equal(one, plain.stored()[name]) for name, one in found.stored().items())


class _Shared(nn.Module):
    """One layer called twice, a transposed convolution, and tokens before examples."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.up = nn.Conv2d(4, 4, 3, padding=1), nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.up(torch.relu(self.shared(torch.relu(self.shared(x)))))
        tokens: torch.Tensor = self.head(maps.flatten(2).permute(2, 0, 1))
        return tokens.permute(1, 2, 0)


def test_other_layers_are_rounded_to_nearest_in_between() -> None:
    torch.manual_seed(0)
    module, x = _Shared().eval(), torch.randn(32, 4, 4, 4)
    found = calibrated(module, x, "compensated")
    assert noise(found, module, x) < noise(calibrated(module, x, "nearest"), module, x)
    shared = next(layer for layer in found.layers if layer.shared or layer.calls > 1)
    # Codes nearest to the float weights.
    codes = torch.round(module.shared.weight.detach() / shared.scale().detach().view(-1, 1, 1, 1))
    assert torch.equal(shared.weight_codes(), codes.clamp(-4, 3).long())


def test_learning_goes_on_from_the_codes_and_is_not_lost(teacher: nn.Module, images: torch.Tensor) -> None:
    network = calibrated(teacher, images, "compensated")
    layer = network.layers[2]
    floats = quantize(teacher, images[:2], Policy(fixed=Bits(weight=3, activation=8))).layers[2].weight.detach()
    assert torch.allclose(layer.weight, layer.quantized_weight(), atol=1e-6)
    with torch.no_grad():
        layer.weight[0] += 0.25
    layer.replace(None)
    assert torch.allclose(layer.weight[0], floats[0] + 0.25, atol=1e-5)
    assert torch.equal(layer.weight[1:], floats[1:])
