"""Layers of a `Sequential` that follow each other, as one block."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

import evo_qnas as eq
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import assemble, find_blocks
from evo_qnas.networks.candidates.chains import has_inside, mixing_layers
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.candidates.spans import joined_spans, span_of, with_blocks

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
