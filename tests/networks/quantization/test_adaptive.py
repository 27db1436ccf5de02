"""Adaptive rounding: no single code can be moved to a smaller error, and outputs err no more than compensated ones."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization import adaptive
from evo_qnas.networks.quantization.adaptive import adapted, descended, output_errors
from evo_qnas.networks.quantization.compensated import ROUNDING
from evo_qnas.networks.quantization.compensation import Moments, rounded
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.recipe import Recipe
from evo_qnas.networks.quantization.scheme import WeightGrid

COLUMNS = 12


@pytest.fixture
def layer() -> QuantizedLayer:
    torch.manual_seed(0)
    module = nn.Linear(COLUMNS, 5)
    (made,) = quantize(module, torch.zeros(2, COLUMNS), Policy(fixed=Bits(weight=3, activation=8))).layers
    made.fit()
    return made


@pytest.fixture
def moments() -> Moments:
    """Of inputs that vary together."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(40, COLUMNS, generator=generator).double() @ torch.randn(COLUMNS, COLUMNS).double()
    found = (inputs.T @ inputs / len(inputs))[None]
    return Moments(quantized=found, crossed=found, squares=found.diagonal(dim1=1, dim2=2))


def grid_of(layer: QuantizedLayer) -> WeightGrid:
    return WeightGrid(scale=layer.scale().detach(), zero_point=layer.zero_point)


def test_no_single_code_moves_but_to_a_larger_error(
    layer: QuantizedLayer, moments: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptive, "_SWEEPS", 50)
    monkeypatch.setattr(adaptive, "_LAZY", 5)
    weight, hessian = layer.weight.detach().double()[None], moments.quantized + moments.damping(ROUNDING)
    nearest = layer.quantized_weight().detach().double()[None]
    found = descended(layer, grid_of(layer), weight, nearest, hessian)
    least = output_errors(weight, found, hessian)
    assert bool((least <= output_errors(weight, nearest, hessian)).all())
    assert float(least.sum()) < 0.9 * float(output_errors(weight, nearest, hessian).sum())
    scale, (first, last) = layer.scale().detach().double()[None, :, None], layer.scheme.weight_range(3)
    codes = torch.round(found / scale)
    assert torch.allclose(found, codes * scale, rtol=1e-5)
    for column in range(COLUMNS):
        for step in (-1, 1):
            other = codes.clone()
            other[:, :, column] = (other[:, :, column] + step).clamp(first, last)
            assert bool(
                (output_errors(weight, other * scale, hessian) >= least * (1 - 1e-5)).all()
            )  # values are in float32


def test_every_output_errs_at_most_as_much_as_compensated(layer: QuantizedLayer, moments: Moments) -> None:
    weight, hessian = layer.weight.detach().double()[None], moments.quantized + moments.damping(ROUNDING)
    plain = output_errors(weight, rounded(layer, grid_of(layer), weight, moments, ROUNDING), hessian)
    grid, (found,) = adapted(layer, grid_of(layer), [weight], [moments])
    errors = output_errors(weight, found, hessian)
    assert bool((errors <= plain + 1e-12).all())
    assert float(errors.sum()) < 0.95 * float(plain.sum())
    assert grid.scale.unique().numel() == len(layer.weight)
    codes = found / grid.scale.double()[None, :, None]
    assert torch.allclose(codes, torch.round(codes), atol=1e-4)


def calibrated(module: nn.Module, x: torch.Tensor, rounding: str) -> QuantizedNetwork:
    policy = Policy(fixed=Bits(weight=3, activation=8), recipe=Recipe(rounding=rounding))
    network = quantize(module.eval(), x[:2], policy)
    network.calibrate(x.split(16))
    return network


def test_integers_give_what_fake_quantization_gives(teacher: nn.Module, images: torch.Tensor) -> None:
    """And outputs are no further from the float ones than compensated ones by more than what chance does."""
    networks = {name: calibrated(teacher, images, name) for name in ("adaptive", "compensated")}
    with torch.no_grad():
        wanted, found = teacher(images), {name: network(images) for name, network in networks.items()}
    step = float(networks["adaptive"].quantizers[-1].scale().detach())
    assert float((run_in_integers(networks["adaptive"], images) - found["adaptive"]).abs().max()) <= 1.01 * step
    errors = {name: float((output - wanted).square().mean()) for name, output in found.items()}
    assert errors["adaptive"] < 1.1 * errors["compensated"]
