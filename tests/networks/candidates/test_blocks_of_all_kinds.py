"""Which channels go together is read off what a block computes, not off the order in which layers are registered."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.operators import build_candidate, load_operators, misfits
from evo_qnas.networks.candidates.pruning import families, pruned

MAPS = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))


class Gated(nn.Module):
    """An inverted residual with squeeze and excitation; layers are registered in an order of their own."""

    def __init__(self, *, shared: bool = False) -> None:
        super().__init__()
        self.project = nn.Conv2d(32, 8, 1)
        self.reduce, self.widen = nn.Conv2d(32, 4, 1), nn.Conv2d(4, 32, 1)
        self.norm = nn.BatchNorm2d(32)
        self.filter = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
        self.expand = nn.Conv2d(8, 32, 1)
        self.shared = shared

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norm(self.filter(nn.functional.silu(self.expand(x), inplace=True)))
        inner = inner * torch.sigmoid(inner)
        gate = self.widen(torch.relu(self.reduce(nn.functional.adaptive_avg_pool2d(inner, 1))))
        y: torch.Tensor = self.project(inner * torch.sigmoid(gate)) + x
        return torch.cat([y, inner], 1) if self.shared else y


def filled(module: nn.Module) -> nn.Module:
    """Weights and statistics of which every one matters."""
    generator = torch.Generator().manual_seed(1)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=generator) + 0.1
    return module.eval()


def test_squeeze_and_excitation_is_narrowed_with_the_channels_that_it_gates() -> None:
    block = filled(Gated())
    inner, squeezed = families(block, (8, 6, 6))
    assert inner.layers == ("expand.weight", "filter.weight", "widen.weight")
    assert (inner.width, inner.residual, squeezed.layers, squeezed.width) == (32, True, ("reduce.weight",), 4)
    narrow = pruned(block, 50, inputs=(8, 6, 6))
    assert narrow is not None
    assert narrow(MAPS).shape == MAPS.shape
    widths = {name: module.weight.shape[:2] for name, module in narrow.named_modules() if isinstance(module, nn.Conv2d)}
    assert widths == {
        "project": (8, 16),
        "reduce": (4, 16),
        "widen": (16, 4),
        "filter": (16, 1),
        "expand": (16, 8),
    }


@torch.no_grad()
def test_channels_that_do_nothing_go_without_a_trace() -> None:
    block = filled(Gated())
    block.get_submodule("project").weight[:, 16:] = 0.0  # type: ignore[index]  # a parameter
    block.get_submodule("reduce").weight[:, 16:] = 0.0  # type: ignore[index]
    narrow = pruned(block, 50, inputs=(8, 6, 6))
    assert narrow is not None
    assert torch.allclose(narrow(MAPS), block(MAPS), rtol=1e-4)


def test_channels_go_through_paddings() -> None:
    """Libraries that pad by a layer of its own, as TensorFlow's networks do, have inverted residuals too."""
    pads = (nn.ZeroPad2d((1, 2, 1, 2)), nn.ReflectionPad2d(2), nn.ReplicationPad2d((2, 1, 2, 1)))
    for pad in pads:
        block = nn.Sequential(
            nn.Conv2d(8, 32, 1), nn.ReLU6(), pad, nn.Conv2d(32, 32, 3, groups=32), nn.Conv2d(32, 8, 1)
        )
        assert [family.width for family in families(block, (8, 6, 6))] == [32]
        narrow = pruned(block, 50, inputs=(8, 6, 6))
        assert narrow is not None
        assert narrow(MAPS).shape == block(MAPS).shape
    more = nn.ConstantPad3d((0, 0, 0, 0, 4, 4), 0.0)
    wider = nn.Sequential(nn.Conv2d(8, 24, 1), more, nn.Conv2d(32, 32, 3, groups=32), nn.Conv2d(32, 8, 1))
    assert [family.layers for family in families(wider, (8, 6, 6))] == [], (
        "channels of zeros are none of the block's own"
    )


def test_channels_that_are_seen_elsewhere_stay() -> None:
    assert [family.layers for family in families(Gated(shared=True), (8, 6, 6))] == [("reduce.weight",)]
    assert pruned(Gated(shared=True), 50, inputs=(8, 6, 6)) is None


class NextLike(nn.Module):
    """A filter, then a perceptron on channels last: no inverted residual, whatever the order of registration."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.filter, self.other = (
            nn.Conv2d(8, 8, 1),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 8, 1),
        )
        self.norm, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.filter(x).permute(0, 2, 3, 1))
        y = self.narrow(nn.functional.gelu(self.wide(y))).permute(0, 3, 1, 2)
        total: torch.Tensor = x + self.other(self.one(y))
        return total


@pytest.mark.parametrize("card", ["pruned", "low_rank", "pruned_residual"])
def test_an_operator_that_does_not_fit_says_so(card: str) -> None:
    shape = BlockShape(name="b", inputs=(8, 6, 6), outputs=(8, 6, 6))
    block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    found = misfits(load_operators(card, {}), shape, block=block)
    for misfit in found.values():
        assert misfit is not None
        assert not misfit.broken
        assert misfit.reason.startswith("the block has no")
    assert build_candidate(load_operators(card, {})[0], shape, seed=0, block=block) is None
    # The gated block fits what narrows it, without values too.
    fitting = misfits(load_operators("pruned", {}), shape, block=Gated())
    assert set(fitting.values()) == {None}


def test_a_perceptron_on_channels_last_is_narrowed() -> None:
    block = filled(NextLike())
    narrow = pruned(block, 50, inputs=(8, 6, 6))
    assert isinstance(narrow, NextLike)
    assert (narrow.wide.out_features, narrow.narrow.in_features, narrow.one.out_channels) == (16, 16, 8)
    assert narrow(MAPS).shape == MAPS.shape


def test_following_a_block_changes_nothing_in_it() -> None:
    block = Gated().train()
    before = {name: value.clone() for name, value in block.state_dict().items()}
    families(block, (8, 6, 6))
    assert all(module.training for module in block.modules())
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


def test_a_block_that_does_not_run_has_no_families() -> None:
    assert families(Gated(), (9, 6, 6)) == ()
    assert families(nn.Sequential(nn.ReLU())) == ()


class Sized(nn.Module):
    """Is given a size beside its one tensor, as blocks of some libraries are."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(8, 32, 1), nn.Conv2d(32, 8, 1)

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        y: torch.Tensor = self.narrow(torch.relu(self.wide(x)))
        return y[..., : size[0], : size[1]]


def test_a_block_that_cannot_be_followed_says_so() -> None:
    shape = BlockShape(name="b", inputs=(8, 6, 6), outputs=(8, 6, 6))
    (found,) = misfits(load_operators("pruned", {"keep": [50]}), shape, block=Sized()).values()
    assert found is not None
    assert found.reason.startswith("what the block computes cannot be followed: it takes more than its tensor")
