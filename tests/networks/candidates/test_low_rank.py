import copy

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.low_rank import low_rank
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.models.deeplab import AtrousPyramid
from evo_qnas.networks.models.layers import inverted_residual
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize

SHAPE = BlockShape(name="b", inputs=(32, 6, 6), outputs=(16, 6, 6))


def pyramid(*, separable: bool = False) -> AtrousPyramid:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return AtrousPyramid(32, 16, rates=[1, 2], separable=separable).eval()


def pixels() -> torch.Tensor:
    return torch.randn(3, 32, 6, 6, generator=torch.Generator().manual_seed(0))


def wide(block: AtrousPyramid) -> list[nn.Conv2d]:
    return [branch[0] for branch in list(block.branches)[1:]]


def test_weights_of_low_rank_are_kept_exactly() -> None:
    block = pyramid()
    mixing = torch.randn(16, 32, generator=torch.Generator().manual_seed(2))
    for layer in wide(block):
        layer.weight.data = torch.einsum("orhw,ri->oihw", layer.weight.data[:, :16], mixing)
    factorised = low_rank(block, 50)
    assert isinstance(factorised, AtrousPyramid)
    assert torch.allclose(factorised(pixels()), block(pixels()), atol=1e-5)
    assert [tuple(layer.weight.shape) for layer in wide(factorised)] == [(16, 16, 3, 3)] * 2
    cruder = low_rank(block, 25)
    assert cruder is not None
    assert not torch.allclose(cruder(pixels()), block(pixels()), atol=1e-3)


def test_the_factors_are_the_nearest_of_their_rank() -> None:
    block = pyramid()
    factorised = low_rank(block, 50)
    assert isinstance(factorised, AtrousPyramid)
    reduction = factorised.reduce.weight.detach()[:, :, 0, 0]
    rows = [layer.weight.detach().permute(0, 2, 3, 1).reshape(-1, layer.in_channels) for layer in wide(block)]
    left = [layer.weight.detach().permute(0, 2, 3, 1).reshape(-1, layer.in_channels) for layer in wide(factorised)]
    fitted = [part @ reduction for part in left]
    error = (torch.cat(rows) - torch.cat(fitted)).norm()
    # Eckart and Young: no matrix of rank 16 is nearer than the root of what the other singular values leave.
    least = torch.linalg.svdvals(torch.cat(rows))[16:].norm()
    assert float(error) == pytest.approx(float(least), rel=1e-4)


def test_the_block_itself_stays_as_it_is() -> None:
    block = nn.Sequential(pyramid())
    before = copy.deepcopy(block.state_dict())
    assert low_rank(block, 50) is not None
    assert list(block.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_there_must_be_something_to_share() -> None:
    assert low_rank(inverted_residual(8, 8, kernel=3, expansion=4), 50) is None
    assert low_rank(pyramid(separable=True), 50) is None
    assert low_rank(AtrousPyramid(8, 8, rates=[]).eval(), 50) is None
    assert low_rank(pyramid(), 50, multiple=32) is None
    once = low_rank(pyramid(), 50)
    assert once is not None
    assert low_rank(once, 50) is None


def test_a_width_that_would_narrow_nothing_is_not_the_full_one() -> None:
    block = AtrousPyramid(32, 8, rates=[1, 2]).eval()
    assert low_rank(block, 50) is not None
    assert low_rank(block, 50, width=50) is None


def test_a_factorised_candidate_learns_and_is_quantized() -> None:
    factorised = low_rank(pyramid(), 50)
    assert factorised is not None
    factorised.train()(pixels()).square().sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in factorised.parameters())
    factorised.eval()
    network = quantize(factorised, pixels(), Policy(fixed=Bits(weight=8, activation=8)))
    network.calibrate([pixels()])
    with torch.no_grad():
        wanted = factorised(pixels())
        error = float((network(pixels()) - wanted).norm() / wanted.norm())
    assert error < 0.05
    assert len(network.layers) == 6


def test_cards_offer_factorised_pyramids_where_there_is_a_teacher() -> None:
    half, quarter = load_operators("low_rank", {"keep": [50, 25]})
    assert (half.label, quarter.label) == ("low_rank_50_100", "low_rank_25_100")
    assert build_candidate(half, SHAPE, seed=0) is None
    made = build_candidate(quarter, SHAPE, seed=0, block=pyramid(), inherited=True)
    assert isinstance(made, AtrousPyramid)
    assert [layer.in_channels for layer in wide(made)] == [8, 8]
    (narrower,) = load_operators("low_rank", {"keep": [50], "width": [50]})
    made = build_candidate(narrower, SHAPE, seed=0, block=pyramid(), inherited=True)
    assert isinstance(made, AtrousPyramid)
    assert [tuple(layer.weight.shape[:2]) for layer in wide(made)] == [(8, 16)] * 2
    assert made.project[0].in_channels == 4 * 8
    (none,) = load_operators("low_rank", {"keep": [50], "width": [101]})
    with pytest.raises(NetworkError, match="width is a share in percent between 1 and 100, got 101"):
        build_candidate(none, SHAPE, seed=0, block=pyramid())
    (none,) = load_operators("low_rank", {"keep": [100]})
    with pytest.raises(NetworkError, match="keep is a share in percent between 1 and 99, got 100"):
        build_candidate(none, SHAPE, seed=0, block=pyramid())
