import copy

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.errors import CardError, NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.candidates.pruning import families, inherit, pruned
from evo_qnas.networks.models.deeplab import AtrousPyramid
from evo_qnas.networks.models.layers import Residual, conv_bn, inverted_residual

SHAPE = BlockShape(name="b", inputs=(8, 6, 6), outputs=(8, 6, 6))


def stack(depth: int = 2, kernel: int = 3) -> nn.Sequential:
    """Inverted residuals of 8 channels with 32 inside, with statistics that are not those of fresh layers."""
    with torch.random.fork_rng():
        torch.manual_seed(depth)
        made = nn.Sequential(*[inverted_residual(8, 8, kernel=kernel, expansion=4) for _ in range(depth)])
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
    return made.eval()


def pixels() -> torch.Tensor:
    return torch.randn(3, 8, 6, 6, generator=torch.Generator().manual_seed(0))


def widths_of(block: nn.Module) -> list[int]:
    return [family.width for family in families(block)]


def test_the_widths_of_inverted_residuals_are_found() -> None:
    assert widths_of(stack(3)) == [32, 32, 32]
    (family,) = families(stack(1))
    assert family.layers == ("0.body.0.0.weight", "0.body.1.0.weight")
    assert (family.channels, family.joined, family.residual, family.window) == (1, False, True, 3)
    assert families(inverted_residual(8, 8, kernel=3, expansion=1)) == ()
    assert widths_of(nn.Sequential(conv_bn(8, 16), conv_bn(16, 12, kernel=3), conv_bn(12, 8))) == [16, 12]


def test_channels_that_do_nothing_go_first_and_the_rest_computes_the_same() -> None:
    block = stack(1)
    idle = torch.tensor([0, 3, 4, 9, 17, 18, 30, 31])
    block[0].body[2][0].weight.data[:, idle] = 0.0
    narrow = pruned(block, 75)
    assert narrow is not None
    assert widths_of(narrow) == [24]
    assert torch.allclose(narrow(pixels()), block(pixels()), atol=1e-5)
    assert sum(p.numel() for p in narrow.parameters()) < sum(p.numel() for p in block.parameters())


def test_widths_are_multiples_that_a_device_likes() -> None:
    widths = {}
    for multiple in (1, 8, 16, 32):
        narrow = pruned(stack(1), 60, multiple)
        widths[multiple] = None if narrow is None else widths_of(narrow)[0]
    assert widths == {1: 19, 8: 16, 16: 16, 32: None}
    pyramid = pruned(AtrousPyramid(8, 48, rates=[1]).eval(), 60, 16)
    assert pyramid is not None
    assert [m.out_channels for m in pyramid.modules() if isinstance(m, nn.Conv2d)] == [32, 32, 32, 48]


def test_channels_that_hardly_vary_go_before_those_that_do() -> None:
    block = stack(1)
    norm = block[0].body[1][1]
    norm.weight.data[5] = 1e-3  # a constant, however large, is left to biases
    norm.bias.data[5] = 3.0
    norm.bias.data[6] = -50.0  # always cut to 0
    (family,) = families(block)
    assert set(torch.topk(family.importance, 2, largest=False).indices.tolist()) == {5, 6}


def test_the_spread_behind_relu6_is_that_of_samples() -> None:
    block = stack(1)
    norm, projecting = block[0].body[1][1], block[0].body[2][0]
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((200_000, 1)) * norm.weight.detach().abs().numpy() + norm.bias.detach().numpy()
    wanted = np.clip(drawn, 0.0, 6.0).std(axis=0) * projecting.weight.detach().flatten(1).norm(dim=0).numpy()
    # The error of a standard deviation of 200,000 samples is about 0.2 %, the grid's ends add as much.
    (family,) = families(block)
    assert family.importance.numpy() == pytest.approx(wanted, rel=0.02)


def test_without_batch_norm_norms_of_weights_decide() -> None:
    block = nn.Sequential(nn.Conv2d(8, 32, 1), nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.Conv2d(32, 8, 1))
    block[1].weight.data[:16] *= 1e-3
    narrow = pruned(block, 50)
    assert narrow is not None
    assert torch.equal(narrow[1].weight, block[1].weight[16:])
    assert torch.equal(narrow[0].bias, block[0].bias[16:])
    assert torch.equal(narrow[2].bias, block[2].bias)


@pytest.mark.parametrize("separable", [False, True])
def test_pyramids_lose_the_channels_that_do_nothing(separable: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        pyramid = AtrousPyramid(8, 16, rates=[1, 2], separable=separable).eval()
    for branch in range(4):
        pyramid.project[0].weight.data[:, 16 * branch + branch : 16 * branch + branch + 8] = 0.0
    narrow = pruned(pyramid, 50)
    assert isinstance(narrow, AtrousPyramid)
    assert narrow.project[0].weight.shape == (16, 32, 1, 1)
    assert torch.allclose(narrow(pixels()), pyramid(pixels()), atol=1e-5)
    assert pyramid.project[0].weight.shape == (16, 64, 1, 1)
    narrow.train()(pixels()).square().sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in narrow.parameters())


def test_layers_without_a_shortcut_are_skipped() -> None:
    changing = inverted_residual(8, 12, kernel=3, expansion=4)
    halving = inverted_residual(12, 12, kernel=3, expansion=4, stride=2)
    repeating = inverted_residual(12, 12, kernel=3, expansion=4)
    block = nn.Sequential(changing, halving, repeating).eval()
    assert [family.residual for family in families(block)] == [False, False, False, True]
    assert widths_of(block) == [32, 12, 48, 48]
    narrow = pruned(block, 50, skip_sensitive=True)
    assert narrow is not None
    assert widths_of(narrow) == [32, 12, 48, 24]
    everything = pruned(block, 50)
    assert everything is not None
    assert widths_of(everything) == [16, 8, 24, 24]
    assert torch.equal(narrow[0](pixels()), changing.eval()(pixels()))
    assert pruned(nn.Sequential(changing, halving).eval(), 50, skip_sensitive=True) is None


@pytest.mark.parametrize("separable", [False, True])
def test_branches_of_one_place_and_of_the_mean_are_skipped(separable: bool) -> None:
    pyramid = AtrousPyramid(8, 16, rates=[1, 2], separable=separable).eval()
    with torch.no_grad():
        for branch in (1, 2):
            pyramid.project[0].weight[:, 16 * branch : 16 * branch + 8] = 0.0
    narrow = pruned(pyramid, 50, skip_sensitive=True)
    assert isinstance(narrow, AtrousPyramid)
    assert narrow.project[0].weight.shape == (16, 16 + 8 + 8 + 16, 1, 1)
    assert torch.equal(narrow.branches[0](pixels()), pyramid.branches[0](pixels()))
    assert torch.equal(narrow.pool(pixels()), pyramid.pool(pixels()))
    assert torch.allclose(narrow(pixels()), pyramid(pixels()), atol=1e-5)


def test_the_block_itself_stays_as_it_is_and_little_blocks_are_left_out() -> None:
    block = stack(2)
    before = copy.deepcopy(block.state_dict())
    assert pruned(block, 50) is not None
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())
    assert pruned(inverted_residual(2, 2, kernel=3, expansion=4), 50) is None
    assert pruned(nn.Identity(), 50) is None


def test_a_pruned_candidate_learns_on() -> None:
    narrow = pruned(stack(2), 50)
    assert narrow is not None
    narrow.train()(pixels()).square().sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in narrow.parameters())


def test_equal_names_and_shapes_are_inherited() -> None:
    block, shorter = stack(3), stack(2)
    assert inherit(shorter, block) == len(shorter.state_dict())
    assert torch.equal(shorter(pixels()), block[1](block[0](pixels())))
    wider = stack(1, kernel=5)
    assert 0 < inherit(wider, block) < len(wider.state_dict())
    pyramid = AtrousPyramid(8, 8, rates=[1, 2]).eval()
    separable = AtrousPyramid(8, 8, rates=[1, 2], separable=True).eval()
    inherit(separable, pyramid)
    assert torch.equal(separable.pool(pixels()), pyramid.pool(pixels()))
    assert torch.equal(separable.branches[0](pixels()), pyramid.branches[0](pixels()))


def test_cards_offer_pruned_blocks_where_there_is_a_teacher() -> None:
    half, most = load_operators("pruned", {"keep": [50, 75]})
    assert (half.label, most.label) == ("pruned_50", "pruned_75")
    assert build_candidate(half, SHAPE, seed=0) is None
    made = build_candidate(half, SHAPE, seed=0, block=stack(2))
    assert isinstance(made, nn.Sequential)
    assert isinstance(made[0], Residual)
    assert made(pixels()).shape == (3, 8, 6, 6)
    (none,) = load_operators("pruned", {"keep": [0]})
    with pytest.raises(NetworkError, match="keep is a share in percent between 1 and 99, got 0"):
        build_candidate(none, SHAPE, seed=0, block=stack(2))
    (none,) = load_operators("pruned", {"keep": [50], "multiple": [0]})
    with pytest.raises(NetworkError, match="multiple is a number of channels of at least 1, got 0"):
        build_candidate(none, SHAPE, seed=0, block=stack(2))
    (none,) = load_operators("pruned_residual", {"keep": [50], "skip_sensitive": [2]})
    with pytest.raises(NetworkError, match=r"skip_sensitive is 0 \(narrow everything\) or 1, got 2"):
        build_candidate(none, SHAPE, seed=0, block=stack(2))
    (residual,) = load_operators("pruned_residual", {"keep": [50]})
    assert residual.label == "pruned_residual_50"
    block = nn.Sequential(inverted_residual(8, 8, kernel=3, expansion=4, stride=1), *stack(1)).eval()
    made = build_candidate(residual, SHAPE, seed=0, block=block)
    assert made is not None
    assert widths_of(made) == [16, 16]
    with pytest.raises(
        CardError, match=r"'pruned_50' would name several combinations of parameters.*'pruned_\{keep\}'"
    ):
        load_operators("pruned", {"keep": [50], "multiple": [8, 16]})


def test_a_candidate_inherits_only_where_it_is_asked_to() -> None:
    (operator,) = load_operators("inverted_residual", {"kernel": [3], "expansion": [4], "depth": [1]})
    block = stack(2)
    fresh = build_candidate(operator, SHAPE, seed=0, block=block)
    taught = build_candidate(operator, SHAPE, seed=0, block=block, inherited=True)
    assert fresh is not None
    assert taught is not None
    assert torch.equal(taught(pixels()), block[0](pixels()))
    assert not torch.equal(fresh(pixels()), taught(pixels()))
