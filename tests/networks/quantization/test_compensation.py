"""The closed forms of error compensation, against a few obvious lines."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.quantization import compensation
from evo_qnas.networks.quantization.compensation import Moments, chunks_of, moments_of, rounded, settled
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.scheme import WeightGrid


def layer_and_moments(columns: int = 6, *, bias: bool = False) -> tuple[QuantizedLayer, torch.Tensor, Moments]:
    torch.manual_seed(0)
    x = torch.randn(40, columns) @ torch.randn(columns, columns) + 1.0
    network = quantize(nn.Linear(columns, 3, bias=bias), x[:2], Policy(fixed=Bits(weight=3, activation=8)))
    (layer,) = network.layers
    layer.fit()
    return layer, x, moments_of(layer, x, x, slice(0, columns))


def test_rounding_by_the_factor_is_rounding_by_the_inverse() -> None:
    """Optimal Brain Surgeon column by column: the inverse of what is left, updated after each one."""
    layer, _, moments = layer_and_moments()
    weight = layer.weight.detach().double()[None]
    grid = WeightGrid(scale=layer.scale().detach(), zero_point=layer.zero_point)
    found = rounded(layer, grid, weight, moments, 0.05)[0]

    order = torch.sort(moments.squares[0], descending=True).indices
    left = weight[0].clone()
    hessian = (moments.quantized + moments.damping(0.05))[0]
    wanted, rest, scale = torch.zeros_like(left), order.tolist(), grid.scale.double()
    first, last = layer.scheme.weight_range(layer.bits)
    while rest:
        inverse = torch.linalg.inv(hessian[rest][:, rest])
        column = rest[0]
        wanted[:, column] = torch.clamp(torch.round(left[:, column] / scale), first, last) * scale
        error = (left[:, column] - wanted[:, column]) / inverse[0, 0]
        left[:, rest] -= error[:, None] * inverse[0]
        rest = rest[1:]
    assert torch.allclose(found, wanted, atol=1e-6)


def test_compensated_outputs_are_nearer_than_rounded_ones() -> None:
    layer, x, moments = layer_and_moments(24)
    grid = WeightGrid(scale=layer.scale().detach(), zero_point=layer.zero_point)
    weight = layer.weight.detach()
    found = rounded(layer, grid, weight.double()[None], moments, 0.01)[0].float()
    errors = [float(((weight - codes) @ x.T).square().mean()) for codes in (found, layer.quantized_weight().detach())]
    assert errors[0] < 0.5 * errors[1]


def test_settled_weights_are_a_least_squares_fit() -> None:
    layer, x, _ = layer_and_moments()
    noisy = 0.8 * x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    moments = moments_of(layer, x, noisy, slice(0, 6))
    found = settled(layer.weight.detach().double()[None], moments, 0.0)[0]
    target = x @ layer.weight.detach().T
    wanted = torch.linalg.lstsq(noisy.double(), target.double()).solution.T
    assert torch.allclose(found, wanted, atol=1e-3)


def test_weights_stay_where_inputs_are_those_of_the_float_network() -> None:
    layer, _, moments = layer_and_moments()
    weight = layer.weight.detach().double()[None]
    assert torch.allclose(settled(weight, moments, 0.1), weight, atol=1e-9)


def test_moments_are_about_the_mean_where_a_bias_takes_it_up() -> None:
    _, x, moments = layer_and_moments(bias=True)
    assert torch.allclose(moments.quantized[0].float(), torch.cov(x.T, correction=0), atol=1e-3)
    assert torch.allclose(moments.squares[0].float(), x.square().mean(dim=0), atol=1e-3)


@pytest.mark.parametrize("columns", [1, 6, 7, 8, 20])
def test_chunks_hold_every_column_once(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(compensation, "MOST_COLUMNS", 7)
    chunks = chunks_of(columns)
    assert [index for chunk in chunks for index in range(columns)[chunk]] == list(range(columns))
    assert max(chunk.stop - chunk.start for chunk in chunks) <= 7
