"""Scores by gradients: closed forms of linear networks, independence of batches, tasks with distances of their own."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.scoring import fisher
from evo_qnas.networks.scoring.fisher import foretold_distance, output_gradients
from evo_qnas.networks.scoring.local import ChoiceScore, score_operator
from evo_qnas.networks.tasks.base import TASKS, Task
from evo_qnas.networks.tasks.distances import Distance
from evo_qnas.networks.tasks.measured import MeasuredTask
from evo_qnas.networks.training.noise import channel_variance


def images_of(count: int, *shape: int) -> Images:
    torch.manual_seed(1)
    return Images(pixels=torch.randn(count, *shape), labels=torch.arange(count) % 3)


def linear(outputs: int) -> nn.Module:
    """A block of four channels, then a linear layer on its map of 3 x 3."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(), nn.Linear(36, outputs)).eval()


def task_of(measure: Any) -> Task:
    def score(_predict: Any, _data: Any) -> float:
        return 0.0

    return MeasuredTask(measure=score, distances=(Distance(measure=measure),))


def test_one_linear_output_gives_its_squared_error_over_the_variance() -> None:
    """With one output there is nothing to draw but a sign: (w . e)^2 / variance, example by example, is exact."""
    teacher, images = linear(1), images_of(20, 1, 3, 3)
    gradients = output_gradients(teacher, ["0"], images, task_of("mse"), draws=1, seed=0)["0"]
    assert gradients.shape == (20, 1, 4, 3, 3)
    error = torch.randn(20, 4, 3, 3)
    weight = teacher[2].weight[0].detach()
    with torch.no_grad():
        variance = teacher(images.pixels).var(correction=0)
    wanted = (error.flatten(1) @ weight).square() / variance
    torch.testing.assert_close(foretold_distance(gradients, error), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_many_draws_of_logits_approach_the_divergence_of_small_errors() -> None:
    """The mean of 4,000 draws lies within four of their standard errors of the divergence itself.

    Errors are small, so that the third order is below a hundredth.
    """
    teacher, images = linear(5), images_of(3, 1, 3, 3)
    task = TASKS.get("classification")
    gradients = output_gradients(teacher, ["0"], images, task, draws=4000, seed=0)["0"]
    error = 1e-2 * torch.randn(3, 4, 3, 3, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        target = teacher(images.pixels)
        moved = teacher[1:](teacher[0](images.pixels) + error)
        wanted = task.match(moved.double(), target.double())
    each = torch.einsum("ndk,nk->nd", gradients.flatten(2), error.flatten(1)).double().square() / 2
    spread = each.std(dim=1) / 4000**0.5
    assert ((each.mean(dim=1) - wanted).abs() < 4 * spread + 0.02 * wanted).all()
    torch.testing.assert_close(foretold_distance(gradients, error).double(), each.mean(dim=1), rtol=1e-4, atol=0.0)
    assert (spread < 0.1 * wanted).all(), "else the interval holds anything"


def test_the_gradients_of_an_example_do_not_depend_on_how_examples_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    teacher, images = linear(5), images_of(11, 1, 3, 3)
    task = TASKS.get("classification")
    whole = output_gradients(teacher, ["0"], images, task, draws=3, seed=4)["0"]
    monkeypatch.setattr(fisher, "_MOST_EXAMPLES", 4)
    split = output_gradients(teacher, ["0"], images, task, draws=3, seed=4)["0"]
    torch.testing.assert_close(split, whole, rtol=1e-4, atol=1e-7)
    first = output_gradients(teacher, ["0"], images, task, draws=3, seed=4, most=6)["0"]
    torch.testing.assert_close(first, whole[:6], rtol=1e-4, atol=1e-7)
    other = output_gradients(teacher, ["0"], images, task, draws=3, seed=5)["0"]
    assert not torch.allclose(other, whole)


class Rounded(nn.Module):
    """Numbers that have no derivative."""

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.round()


class Weighted(nn.Module):
    """Channels that the output reads, and one that it does not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.block = nn.Conv2d(1, 2, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.act(self.block(x)) * torch.tensor([1.0, 0.0])[:, None, None]).mean(dim=(2, 3)) * 3.0


class Noisy(nn.Module):
    """The block with an error in one channel."""

    def __init__(self, block: nn.Module, channel: int) -> None:
        super().__init__()
        self.block, self.channel = block, channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wave = torch.sin(7.0 * x[:, 0])
        noise = torch.stack([wave * (self.channel == index) for index in range(2)], dim=1)
        return self.block(x) + noise


def scored(module: nn.Module, *, gradients: torch.Tensor | None, images: Images, teacher: Weighted) -> ChoiceScore:
    with torch.no_grad():
        targets = teacher.block(images.pixels)
    return score_operator(
        TEACHER,
        module,
        weight_bits=[8],
        activation_bits=[8],
        calibration=images.pixels,
        inputs=images.pixels,
        targets=targets,
        variance=channel_variance(targets),
        gradients=gradients,
    )[0]


def test_an_error_that_the_network_does_not_read_counts_nothing() -> None:
    """The plain score is the same in both channels to a factor; by gradients one of them is worth nothing.

    The activation works in place, which must not reach into the block's output.
    """
    teacher, images = Weighted().eval(), images_of(24, 1, 6, 6)
    gradients = output_gradients(teacher, ["block"], images, task_of("mse"), draws=4, seed=0)["block"]
    with torch.no_grad():
        off = teacher.block(images.pixels)[:, 0] <= 0
    assert off.any()
    assert not gradients[:, :, 1].any()
    assert not gradients[:, :, 0].movedim(1, -1)[off].any(), "behind a ReLU that is off nothing counts"
    read, unread = (
        scored(Noisy(teacher.block, channel), gradients=gradients, images=images, teacher=teacher) for channel in (0, 1)
    )
    assert 0.2 < read.score / unread.score < 5.0
    assert read.fisher is not None
    assert unread.fisher is not None
    assert read.fisher > 100 * unread.fisher
    assert read.fisher_stderr is not None
    assert 0.0 < read.fisher_stderr < read.fisher
    plain = scored(Noisy(teacher.block, 0), gradients=None, images=images, teacher=teacher)
    assert (plain.score, plain.stderr, plain.fisher) == (read.score, read.stderr, None)


def test_gradients_of_fewer_examples_than_are_scored() -> None:
    teacher, images = Weighted().eval(), images_of(24, 1, 6, 6)
    gradients = output_gradients(teacher, ["block"], images, task_of("mse"), draws=2, seed=0)["block"]
    some = scored(Noisy(teacher.block, 0), gradients=gradients[:7], images=images, teacher=teacher)
    whole = scored(Noisy(teacher.block, 0), gradients=gradients, images=images, teacher=teacher)
    assert some.score == whole.score
    assert some.fisher != whole.fisher
    assert some.fisher == pytest.approx(whole.fisher, rel=0.9)


def test_a_distance_of_the_users_weighs_as_it_says() -> None:
    """Twice the squared difference is twice the score; absolute differences and rounded outputs have no curvature."""
    teacher, images = linear(1), images_of(8, 1, 3, 3)
    error = torch.ones(8, 4, 3, 3)

    def found(measure: Any) -> np.ndarray:
        gradients = output_gradients(teacher, ["0"], images, task_of(measure), draws=1, seed=0)["0"]
        return foretold_distance(gradients, error).numpy()

    once = found(lambda output, target: (output - target).square())
    twice = found(lambda output, target: 2.0 * (output - target).square())
    np.testing.assert_allclose(twice, 2.0 * once, rtol=1e-4)
    weight = teacher[2].weight[0].detach()
    np.testing.assert_allclose(once, float(weight.sum()) ** 2, rtol=1e-4)
    cut = nn.Sequential(teacher[0], Rounded(), *teacher[1:])
    with pytest.raises(NetworkError, match=r"no gradient at the end of any block"):
        output_gradients(cut, ["0"], images, task_of("mse"), draws=1, seed=0)
    with pytest.raises(NetworkError, match=r"no gradient at the end of any block: .*take \[in_context\]"):
        found(lambda output, target: (output - target).abs())
