"""Layers of a `Sequential` that follow each other, as one block."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn

import evo_qnas as eq
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import assemble, find_blocks
from evo_qnas.networks.candidates.chains import has_inside, mixing_layers
from evo_qnas.networks.candidates.finding import auto_blocks
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.candidates.spans import joined_spans, span_of, with_blocks
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def network() -> nn.Module:
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
    features = nn.Sequential(*layers, nn.Conv2d(16, 8, 3, padding=1), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    return nn.Sequential(OrderedDict(features=features, head=head)).eval()


def test_a_span_is_a_submodule_with_the_layers_under_their_own_names() -> None:
    whole = network()
    assert span_of(whole, "features.2-5") == ("features", ["2", "3", "4", "5"])
    assert span_of(whole, "features-head") == ("", ["features", "head"])
    for name in ("features.2", "features", "features.5-2", "features.2-9", "nowhere.2-3", "features.2.1-2"):
        assert span_of(whole, name) is None
    made = joined_spans(whole, ["features.2-5"])
    assert [name for name, _ in made.get_submodule("features").named_children()] == ["0", "1", "2-5", "6"]
    assert torch.equal(made(IMAGES), whole(IMAGES))
    assert not any("-" in name for name, _ in whole.named_modules())
    assert made.get_submodule("features.2-5.2").weight.shape == (16, 8, 3, 3)
    assert joined_spans(whole, ["features.2"]) is whole


def test_spans_that_overlap_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"the teacher has no submodule 'features.5-6'"):
        find_blocks(
            with_blocks(network(), ["features.2-5", "features.5-6"], IMAGES), ["features.2-5", "features.5-6"], IMAGES
        )


@torch.no_grad()
def test_a_span_is_narrowed_and_replaced_as_a_whole() -> None:
    made = with_blocks(network(), ["features.2-5"], IMAGES)
    (shape,) = find_blocks(made, ["features.2-5"], IMAGES)
    assert (shape.inputs, shape.outputs) == ((8, 8, 8), (8, 8, 8))
    candidate = build_candidate(
        load_operators("pruned", {"keep": [50]})[0], shape, seed=0, block=block_of(made, shape.name)
    )
    assert candidate is not None
    assert candidate.get_submodule("2").weight.shape == (8, 8, 3, 3)
    assembled = assemble(made, {shape.name: candidate})
    assert assembled(IMAGES).shape == (2, 4)


def test_layers_that_mix_channels_are_counted() -> None:
    assert mixing_layers(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 1), nn.BatchNorm2d(8))) == 1
    assert not has_inside(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    assert has_inside(nn.MultiheadAttention(8, 2))


def test_the_list_has_joined_layers_and_the_operators_that_fit_them() -> None:
    found = eq.blocks(network(), IMAGES)
    assert found.auto == ("features.2-6",)
    (row,) = (row for row in found.rows if row.auto)
    assert (row.kind, row.is_layer, row.inputs, row.outputs) == ("Sequential", False, (8, 8, 8), (8, 8, 8))
    assert row.operators["pruned"] == ""
    report = eq.check(network(), IMAGES, blocks=found.auto, operators=["pruned"])
    assert (report.fits, report.left_out) == (True, ())


def test_named_blocks_are_listed_alone() -> None:
    found = eq.blocks(network(), IMAGES, names=["features.2-5", "features.5"])
    assert [row.name for row in found.rows] == ["features.2-5", "features.5"]
    assert found.operators["pruned"] == {"features.2-5": "", "features.5": "it is a single layer"}
    assert [row.name for row in eq.blocks(network(), IMAGES, names="auto").rows] == ["features.2-6"]
    with pytest.raises(NetworkError, match=r"the network calls no submodule 'feature.2'; the nearest are: features.2"):
        eq.blocks(network(), IMAGES, names=["feature.2"])


class Decoder(nn.Module):
    """Layers that a module calls one after the other, registered in another order; the last two have a shortcut."""

    def __init__(self, *, shortcut: bool = False) -> None:
        super().__init__()
        self.second, self.norm = nn.Conv2d(16, 8, 3, padding=1), nn.BatchNorm2d(16)
        self.first, self.stem = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(3, 8, 1)
        self.rest = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.second(self.norm(self.first(self.stem(x)))).relu()
        y = self.rest[0](x)
        found: torch.Tensor = self.rest[1](y)
        return (found + y if self.shortcut else found).mean((2, 3))


class Looping(nn.Module):
    """A list of layers that is gone through."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(3 if not index else 8, 8, 3, padding=1) for index in range(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x.mean((2, 3))


@torch.no_grad()
def test_layers_of_any_module_that_follow_each_other_are_joined() -> None:
    model = Decoder().eval()
    found = auto_blocks(model, IMAGES)
    assert found[0] == "first+norm+second"  # the others are read by their places
    assert not any("-" in name for name in found)
    made = with_blocks(model, found, IMAGES)
    assert torch.equal(made(IMAGES), model(IMAGES))
    shape = find_blocks(made, found, IMAGES)[0]
    narrow = build_candidate(load_operators("pruned", {"keep": [50]})[0], shape, seed=0, block=block_of(made, found[0]))
    assert narrow is not None
    assembled = assemble(made, {found[0]: narrow})
    assert sum(p.numel() for p in assembled.parameters()) < sum(p.numel() for p in model.parameters())
    few = Bits(weight=4, activation=8)
    quantized = quantize(assembled, IMAGES, Policy(fixed=Bits(weight=8, activation=8), blocks={found[0]: few}))
    assert [layer.bits for layer in quantized.layers] == [8, 4, 4, 8, 8]
    again = copy.deepcopy(assembled)
    nn.init.zeros_(again.get_submodule(f"{found[0]}.second").weight)  # type: ignore[arg-type]  # of a convolution
    assert not torch.equal(again(IMAGES), assembled(IMAGES)), "a copy calls its own layers"


def test_lists_are_joined_and_what_else_reads_layers_keeps_them_apart() -> None:
    assert auto_blocks(Looping().eval(), IMAGES) == ("layers.1-2", "layers.3-4")
    assert with_blocks(Looping().eval(), ["layers.1-2"], IMAGES).get_submodule("layers.1-2.2") is not None
    with pytest.raises(NetworkError, match=r"rest.0-1: these layers do not follow each other when the network runs"):
        with_blocks(Decoder(shortcut=True).eval(), ["rest.0-1"], IMAGES)
