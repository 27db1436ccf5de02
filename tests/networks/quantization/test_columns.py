"""Columns of a layer times its weights are what the layer gives."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.quantization.columns import columns_of, has_columns, places_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize

LAYERS = [
    nn.Conv2d(4, 6, 3, padding=1),
    nn.Conv2d(4, 6, 1),
    nn.Conv2d(4, 6, 1, stride=2),
    nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(0, 2), dilation=(1, 2), groups=2),
    nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, bias=False),
    nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
    nn.Linear(4, 6),
]


@pytest.mark.parametrize("module", LAYERS, ids=str)
def test_columns_times_weights_are_the_output(module: nn.Module) -> None:
    shape = {nn.Conv2d: (3, 4, 9, 8), nn.Conv1d: (3, 4, 9), nn.Linear: (3, 5, 4)}[type(module)]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    (layer,) = quantize(nn.Sequential(module), x[:2], Policy(fixed=Bits(weight=8, activation=8))).layers
    assert has_columns(layer)
    columns = columns_of(layer, x)
    weight = layer.weight.flatten(1).unflatten(0, (len(columns), -1))
    with torch.no_grad():
        found = (weight @ columns).flatten(0, 1)
        if layer.bias is not None:
            found = found + layer.bias[:, None]
        wanted = module(x)
    wanted = wanted.flatten(0, 1).T if isinstance(module, nn.Linear) else wanted.transpose(0, 1).flatten(1)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_places_that_are_apart_are_some_of_all() -> None:
    """Every second place along each axis of a map of 5 x 4."""
    x = torch.randn(3, 4, 10, 8, generator=torch.Generator().manual_seed(0))
    module = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
    (layer,) = quantize(nn.Sequential(module), x[:2], Policy(fixed=Bits(weight=8, activation=8))).layers
    assert places_of(layer, x) == (5, 4)
    columns = columns_of(layer, x).unflatten(2, (3, 5, 4))
    assert torch.equal(columns_of(layer, x, 2).unflatten(2, (3, 3, 2)), columns[..., ::2, ::2])


def test_transposed_convolutions_have_none() -> None:
    module = nn.Sequential(nn.ConvTranspose2d(3, 4, 2, stride=2))
    (layer,) = quantize(module, torch.zeros(2, 3, 4, 4), Policy(fixed=Bits(weight=8, activation=8))).layers
    assert not has_columns(layer)
