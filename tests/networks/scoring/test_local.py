"""Scores of blocks and assembled networks follow the recipe of calibration."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.quantization.recipe import Recipe
from evo_qnas.networks.scoring.local import assemble_quantized, score_operator

COMPENSATED = Recipe(rounding="compensated", equalized=True)


@pytest.fixture
def network() -> nn.Sequential:
    """A stem and a block that widens, filters each channel, and narrows."""
    torch.manual_seed(0)
    block = nn.Sequential(
        *(nn.Conv2d(4, 24, 1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1, groups=24), nn.ReLU(), nn.Conv2d(24, 4, 1)),
    )
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), block).eval()


def test_scores_are_those_of_the_recipe(network: nn.Sequential) -> None:
    with torch.no_grad():
        calibration, inputs = network[0](torch.randn(64, 1, 8, 8)), network[0](torch.randn(32, 1, 8, 8))
        targets = network[1](inputs)
    scores = {
        recipe: score_operator(
            TEACHER,
            network[1],
            weight_bits=[3],
            activation_bits=[8],
            calibration=calibration,
            inputs=inputs,
            targets=targets,
            variance=targets.var(dim=(0, 2, 3)),
            recipe=recipe,
        )[0]
        for recipe in (Recipe(), COMPENSATED)
    }
    assert scores[COMPENSATED].score < 0.9 * scores[Recipe()].score
    assert scores[COMPENSATED].costs == scores[Recipe()].costs


def test_assembled_networks_are_calibrated_by_the_recipe(network: nn.Sequential) -> None:
    calibration, images = torch.randn(64, 1, 8, 8), torch.randn(32, 1, 8, 8)
    errors = {}
    for recipe in (Recipe(), COMPENSATED):
        bits = Bits(weight=3, activation=8)
        found = assemble_quantized(network, {}, {"1": bits}, bits, calibration, recipe=recipe)
        with torch.no_grad():
            errors[recipe] = float((found(images) - network(images)).square().mean())
    assert errors[COMPENSATED] < 0.9 * errors[Recipe()]
