"""Scores inside the teacher: nothing for a perfect copy, more for fewer bits, and what the whole network would give."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas.data import Images
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.scoring.in_context import score_in_context, teacher_outputs
from evo_qnas.networks.tasks.base import TASKS


@pytest.fixture
def parts() -> tuple[nn.Module, Images, torch.Tensor]:
    torch.manual_seed(0)
    teacher = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4),
    ).eval()
    pixels = torch.randn(40, 1, 8, 8)
    images = Images(pixels=pixels, labels=torch.arange(40) % 4)
    return teacher, images, torch.randn(32, 1, 8, 8)


def score(
    parts: tuple[nn.Module, Images, torch.Tensor], operator: str, module: nn.Module, measure: str
) -> list[tuple[float, float]]:
    teacher, images, calibration = parts
    with torch.no_grad():
        features = teacher[0](calibration)
    return score_in_context(
        teacher,
        "1",
        operator,
        module,
        weight_bits=[2, 4, 8],
        activation_bits=[4, 8],
        features=features,
        calibration=calibration,
        images=images,
        outputs=teacher_outputs(teacher, images),
        task=TASKS.get("classification"),
        measure=measure,
    )


def test_more_bits_are_nearer_to_the_teacher(parts: tuple[nn.Module, Images, torch.Tensor]) -> None:
    teacher = parts[0]
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    found: np.ndarray = np.array(score(parts, TEACHER, teacher[1], "kl"))
    assert found.shape == (6, 2)
    assert found[1, 0] > found[3, 0] > found[5, 0] > 0, "2, 4, 8 weight bits at 8 activation bits"
    assert found[5, 0] < 1e-3
    assert (found[:, 1] > 0).all()
    assert all(torch.equal(value, teacher.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize("measure", ["kl", "loss"])
def test_an_operator_without_weights_is_the_divergence_worked_out(
    parts: tuple[nn.Module, Images, torch.Tensor], measure: str
) -> None:
    """Slow twin: the teacher without its block, image by image."""
    teacher, images, _ = parts
    ((mean, stderr),) = score(parts, "identity", nn.Identity(), measure)
    values = []
    with torch.no_grad():
        for pixels, label in zip(images.pixels, images.labels, strict=True):
            whole = functional.log_softmax(teacher(pixels[None]), dim=1)[0]
            without = functional.log_softmax(teacher[2:](teacher[0](pixels[None])), dim=1)[0]
            values.append(
                float((whole.exp() * (whole - without)).sum()) if measure == "kl" else float((whole - without)[label])
            )
    assert mean == pytest.approx(np.mean(values), rel=1e-3)
    assert stderr == pytest.approx(np.std(values, ddof=1) / np.sqrt(40), rel=1e-3)
