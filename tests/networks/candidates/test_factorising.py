import pytest
import torch
from torch import nn

from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.factorising import factorised
from evo_qnas.networks.candidates.operators import build_candidate, load_operators, misfits


def test_weights_of_low_rank_are_kept_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    block = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Conv1d(6, 6, 1)).eval()
    block[0].weight.data = torch.randn(32, 8, generator=generator) @ torch.randn(8, 32, generator=generator)
    made = factorised(block, 25)
    assert made is not None
    x = torch.randn(2, 6, 32, generator=generator)
    assert torch.allclose(made(x), block(x), atol=1e-3)
    assert [tuple(layer.weight.shape) for layer in made[0]] == [(8, 32), (32, 8)]
    block[0].weight.data = torch.outer(torch.ones(32), torch.arange(32.0))
    poorer = factorised(block, 25)
    assert poorer is not None, "of rank 1, where 8 are kept"
    assert torch.allclose(poorer[0](x), block[0](x), rtol=1e-3, atol=1e-2)
    assert max(float(layer.weight.detach().abs().max()) for layer in poorer[0]) < 1e3
    assert isinstance(made[2], nn.Conv1d), "it would not become smaller"


@pytest.mark.parametrize("stride", [1, 2])
def test_the_factors_are_the_nearest_of_their_rank(stride: int) -> None:
    layer = nn.Conv2d(16, 24, 3, stride=stride, padding=1, dilation=2)
    made = factorised(nn.Sequential(layer), 50)
    assert made is not None
    taps, mixing = made[0]
    assert (taps.stride, taps.padding, taps.dilation) == (layer.stride, layer.padding, layer.dilation)
    rows = layer.weight.detach().flatten(1)
    fitted = mixing.weight.detach().flatten(1) @ taps.weight.detach().flatten(1)
    # Eckart and Young: no matrix of rank 16 is nearer than the root of what the other singular values leave. The
    # largest rank is 24, half of which is rounded to 8 or 16.
    rank = len(taps.weight)
    least = torch.linalg.svdvals(rows)[rank:].norm()
    assert float((rows - fitted).norm()) == pytest.approx(float(least), rel=1e-4)
    assert torch.equal(mixing.bias, layer.bias)
    x = torch.randn(1, 16, 7, 7)
    assert made(x).shape == nn.Sequential(layer)(x).shape


class Borrowing(nn.Module):
    """Reads the weights of a layer that it does not call."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.read = nn.Linear(32, 32), nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = nn.functional.linear(self.called(x), self.read.weight)
        return y


def test_layers_that_are_not_called_stay() -> None:
    made = factorised(Borrowing(), 25, inputs=(4, 32))
    assert made is not None
    assert made(torch.zeros(1, 4, 32)).shape == (1, 4, 32)
    assert isinstance(made.get_submodule("read"), nn.Linear)
    encoder = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True).eval()
    made = factorised(encoder, 25, inputs=(4, 32))
    assert made is not None
    with torch.no_grad():  # where torch would take its fused kernel, which reads the weights of all layers
        assert made(torch.zeros(1, 4, 32)).shape == (1, 4, 32)


def test_a_card_offers_it_where_something_becomes_smaller() -> None:
    shape = BlockShape(name="b", inputs=(4, 32), outputs=(4, 32), channel_axis=2)
    third, quarter = load_operators("factorised", {})
    assert (third.label, quarter.label) == ("factorised_33", "factorised_25")
    block = nn.Sequential(nn.Linear(32, 32))
    assert build_candidate(quarter, shape, seed=0, block=block) is not None
    found = misfits([third, quarter], shape, block=block)
    assert set(found.values()) == {None}
    small = misfits([third], shape, block=nn.Sequential(nn.Linear(32, 8), nn.Linear(8, 32)))["factorised_33"]
    assert small is not None
    assert small.reason == "no layer of the block becomes smaller at keep = 33 in multiples of 8"
