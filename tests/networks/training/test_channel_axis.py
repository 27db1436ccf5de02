"""Channels of tokens: the axis belongs to the block's shape, and every score divides by that channel's variance."""

from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.scoring.local import score_operator
from evo_qnas.networks.training.distill import distill
from evo_qnas.networks.training.features import (
    FeatureSettings,
    StoredFeatures,
    TeacherFeatures,
    cache_features,
    open_features,
    output_variance,
)
from evo_qnas.networks.training.noise import channel_variance, noise_to_signal


class _Tokens(nn.Module):
    """Images of 10 rows of 4 values: 10 tokens, which a block gives 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 32), nn.ReLU())
        self.head = nn.Linear(32, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(x[:, 0]).mean(1))


@pytest.fixture
def tokens() -> tuple[nn.Module, Images]:
    torch.manual_seed(0)
    pixels = torch.randn(40, 1, 10, 4)
    return _Tokens().eval(), Images(pixels=pixels, labels=torch.arange(40) % 3)


@pytest.mark.parametrize(
    ("block", "x", "axis"),
    [
        (nn.Linear(4, 32), torch.zeros(2, 10, 4), 2),
        (nn.Linear(4, 8), torch.zeros(2, 4), 1),
        (nn.Conv2d(3, 5, 1), torch.zeros(2, 3, 6, 6), 1),
        (nn.Conv1d(3, 5, 1), torch.zeros(2, 3, 6), 1),
    ],
    ids=["tokens", "vectors", "maps", "sequences"],
)
def test_the_axis_of_a_blocks_channels(block: nn.Module, x: torch.Tensor, axis: int) -> None:
    (shape,) = find_blocks(nn.Sequential(block), ["0"], x)
    assert shape.channel_axis == axis


def test_a_ratio_of_tokens_by_hand() -> None:
    """Two channels of 3 tokens: errors 1 and 2, variances 1 and 4: (1/1 + 4/4) / 2 = 1."""
    target, variance = torch.zeros(5, 3, 2), torch.tensor([1.0, 4.0])
    output = torch.tensor([1.0, 2.0]).expand(5, 3, 2)
    assert torch.equal(noise_to_signal(target, output, variance, 2), torch.ones(5))


def test_tokens_have_a_variance_for_each_channel(tmp_path: Path, tokens: tuple[nn.Module, Images]) -> None:
    teacher, images = tokens
    shapes = find_blocks(teacher, ["block"], images.pixels[:2])
    assert shapes[0].outputs == (10, 32)
    with torch.no_grad():
        outputs = teacher.get_submodule("block")(images.pixels[:, 0])
    expected = outputs.flatten(0, 1).var(dim=0, correction=0)
    expected = expected.clamp_min(float(expected.mean()) * 1e-3)
    stored = cache_features(teacher, shapes, images, FeatureSettings(), folder=tmp_path, fingerprint="a")["block"]
    opened = open_features(tmp_path, "block", "a")
    assert opened is not None
    variance = output_variance(teacher, "block", images, channel_axis=2)
    fresh = TeacherFeatures(teacher, "block", images, variance=variance, channel_axis=2)
    own = StoredFeatures(outputs, outputs, channel_axis=2)
    for features in (stored, opened, fresh, own):
        assert features.variance.shape == (32,)
        assert features.channel_axis == 2
        assert torch.allclose(features.variance, expected, rtol=1e-4)
    assert torch.allclose(channel_variance(outputs, 2), expected, rtol=1e-5)


def test_scores_and_losses_of_tokens_are_those_of_their_channels(tokens: tuple[nn.Module, Images]) -> None:
    """Slow way: the identity in the block's place, channel by channel."""
    teacher, images = tokens
    with torch.no_grad():
        targets = teacher.get_submodule("block")(images.pixels[:, 0])
    inputs = targets + torch.linspace(0.1, 1.0, 32)
    features = StoredFeatures(inputs, targets, channel_axis=2)
    ratios = [float((inputs[..., c] - targets[..., c]).square().mean() / features.variance[c]) for c in range(32)]
    (found,) = score_operator(
        "identity",
        nn.Identity(),
        weight_bits=[8],
        activation_bits=[8],
        calibration=inputs,
        inputs=inputs,
        targets=targets,
        variance=features.variance,
        channel_axis=2,
    )
    assert found.score == pytest.approx(sum(ratios) / 32, rel=1e-4)
    settings = {"steps": 1, "batch_size": 40, "learning_rate": 0.0, "weight_decay": 0.0, "seed": 0}
    scale = nn.Linear(32, 32, bias=False)
    nn.init.eye_(scale.weight)
    assert distill({"scale": scale}, features, **settings)["scale"] == pytest.approx(found.score, rel=1e-4)
