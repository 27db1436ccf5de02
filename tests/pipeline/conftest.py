import pytest

from tests.exported_once import exported_once
from tests.tried_once import tried_anew, tried_once

__all__ = ["exported_once", "tried_anew", "tried_once"]

SMALL = [
    "teacher.training.epochs=1",
    "teacher.parameters.stem=8",
    "teacher.parameters.head=16",
    "teacher.parameters.stages=[{channels=8,expansion=2,depth=1,stride=2},{channels=8,expansion=2,depth=1,stride=1}]",
    'blocks.names=["stages.0","stages.1"]',
    'operators=[{card="depthwise_separable",kernel=[3],depth=[1]},{card="identity"}]',
    "quantization.weight_bits=[2,4,8]",
    "quantization.activation_bits=[4,8]",
    "quantization.calibration_images=64",
    "distillation.steps=4",
    "search.evaluations=80",
    "search.population=20",
    "validation.size_shares=[0.8,0.55,0.4]",
    "validation.least_picks=3",
    "validation.random_networks=4",
    "finetuning.epochs=1",
    "finetuning.batch_size=256",
]


@pytest.fixture
def small() -> list[str]:
    """Changes that make the digits card a matter of seconds; every stage still does the real thing."""
    return list(SMALL)
