"""Least squares before distillation: by hand, never worse, and where it leaves what it finds."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.networks.candidates.pruning import pruned
from evo_qnas.networks.models.layers import inverted_residual
from evo_qnas.networks.training.correction import correct
from evo_qnas.networks.training.features import StoredFeatures
from evo_qnas.networks.training.noise import noise_to_signal


class Bottleneck(nn.Module):
    """A block that ends in a ReLU, as those of ResNet do."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(6, 16, 1)
        self.norm = nn.BatchNorm2d(16)
        self.last = nn.Conv2d(16, 6, 3, padding=1, bias=False)
        self.shift = nn.BatchNorm2d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norm(self.first(x)).relu()
        return (x + self.shift(self.last(inner))).relu()


def perceptron(width: int = 16) -> nn.Module:
    return nn.Sequential(nn.Linear(6, width), nn.GELU(), nn.Linear(width, 6))


def lived_in(block: nn.Module, seed: int = 0) -> nn.Module:
    """A block whose BatchNorms have statistics and factors of their own."""
    generator = torch.Generator().manual_seed(seed)
    for part in block.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.weight, part.bias, part.running_mean, part.running_var):
                assert tensor is not None
                tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
    return block.eval()


@torch.no_grad()
def features_of(block: nn.Module, *shape: int, count: int = 48, axis: int = 1, seed: int = 1) -> StoredFeatures:
    inputs = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    return StoredFeatures(inputs, block(inputs), channel_axis=axis)


@torch.no_grad()
def error(module: nn.Module, features: StoredFeatures) -> float:
    outputs = module(features.inputs)
    return float(noise_to_signal(features.targets, outputs, features.variance, features.channel_axis).mean())


def test_the_last_layer_solves_a_ridge_regression_about_what_it_was() -> None:
    """Of a linear layer alone, against the same in numpy: means go into the bias."""
    torch.manual_seed(0)
    features = features_of(perceptron(), 6, count=200)
    layer = nn.Linear(6, 6)
    weight = layer.weight.detach().double().numpy()
    x, y = (part.double().numpy() for part in (features.inputs, features.targets))
    centred, goal = x - x.mean(axis=0), y - y.mean(axis=0)
    inner = centred.T @ centred / len(x)
    own = np.diag(inner)
    ridge = np.diag(0.01 * (own + own.mean()) / 2 + 1e-6 * own.mean())
    wanted = np.linalg.solve(inner + ridge, (goal.T @ centred / len(x) + weight @ ridge).T).T
    found = correct(layer, nn.Linear(6, 6), features)
    assert found.layers == ("",)
    assert np.allclose(layer.weight.detach().numpy(), wanted, atol=1e-5)
    assert layer.bias is not None
    assert np.allclose(layer.bias.detach().numpy(), y.mean(axis=0) - wanted @ x.mean(axis=0), atol=1e-5)


def stage() -> nn.Module:
    first, second = (inverted_residual(inputs, 8, kernel=3, expansion=4) for inputs in (6, 8))
    return nn.Sequential(first, second)


BLOCKS = {
    "two inverted residuals": (stage, (6, 6, 6), 1),
    "behind a ReLU": (Bottleneck, (6, 5, 5), 1),
    "tokens": (perceptron, (7, 6), 2),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_the_error_of_a_pruned_block_falls_on_other_images_too(name: str) -> None:
    make, shape, axis = BLOCKS[name]
    torch.manual_seed(3)
    block = lived_in(make())
    features, others = (features_of(block, *shape, axis=axis, seed=seed, count=96) for seed in (1, 2))
    candidate = pruned(block, 50, 4, inputs=shape)
    assert candidate is not None
    before, held_out, theirs = error(candidate, features), error(candidate, others), copy.deepcopy(block.state_dict())
    found = correct(candidate, block, features)
    assert found.layers
    assert found.before == pytest.approx(before, rel=1e-4)
    assert found.after == pytest.approx(error(candidate, features), rel=1e-4)
    assert found.after < 0.8 * before
    assert error(candidate, others) < 0.9 * held_out
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in block.state_dict().items())


@pytest.mark.parametrize("seed", range(6))
def test_the_error_on_the_images_never_rises(seed: int) -> None:
    """Of candidates that share names with the block by chance alone, and of dead channels."""
    torch.manual_seed(seed)
    block = lived_in(Bottleneck(), seed)
    features = features_of(block, 6, 4, 4, count=8, seed=seed)
    candidates = [
        Bottleneck(),
        inverted_residual(6, 6, kernel=3, expansion=2),
        nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()),
    ]
    for candidate in candidates:
        if seed % 2:
            next(candidate.parameters()).data.zero_()
        before = error(candidate.eval(), features)
        found = correct(candidate, block, features)
        assert found.after <= before * (1 + 1e-6)
        assert error(candidate, features) <= before * (1 + 1e-4)


def test_what_is_right_already_stays_to_the_bit() -> None:
    block = lived_in(Bottleneck())
    candidate = copy.deepcopy(block)
    assert correct(candidate, block, features_of(block, 6, 4, 4)).layers == ()
    for one, other in zip(candidate.state_dict().values(), block.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_training_begins_where_the_fit_ends() -> None:
    """BatchNorms with statistics of the batch give what they give with the kept ones."""
    torch.manual_seed(0)
    block = lived_in(Bottleneck())
    features = features_of(block, 6, 8, 8, count=64)
    candidate = pruned(block, 50, 4, inputs=(6, 8, 8))
    assert candidate is not None
    correct(candidate, block, features)
    with torch.no_grad():
        kept, of_batch = candidate(features.inputs), candidate.train()(features.inputs)
    assert torch.allclose(kept, of_batch, atol=1e-3 * float(kept.std()))
