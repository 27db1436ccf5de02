"""Tasks made of a metric, a loss and distances: the contract of tasks, and what is their own."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas import metrics
from evo_qnas.data import Examples, Images, Splits
from evo_qnas.data.nests import Structure
from evo_qnas.errors import NetworkError
from evo_qnas.networks.tasks.base import Task
from evo_qnas.networks.tasks.distances import Distance, distances_of
from evo_qnas.networks.tasks.measured import MeasuredTask
from evo_qnas.networks.testing import TaskContract


def _images(count: int, seed: int, numbers: bool) -> Images:
    pixels = torch.randn(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    means = pixels.mean(dim=(1, 2, 3))
    return Images(pixels=pixels, labels=means * 4.0 if numbers else (means > 0.0).long())


def _splits(numbers: bool) -> Splits:
    train, search, test = (_images(count, seed, numbers) for count, seed in ((64, 0), (32, 1), (32, 2)))
    return Splits(train=train, search=search, test=test, classes=() if numbers else ("low", "high"))


class _Told(nn.Module):
    """Gives what it was told, in order."""

    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs, self.at = outputs, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.at >= len(self.outputs):
            self.at = 0
        self.at += len(x)
        return self.outputs[self.at - len(x) : self.at]


def _network(outputs: int) -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, outputs))


class TestClasses(TaskContract):
    def make_task(self) -> Task:
        return MeasuredTask(measure=metrics.accuracy, criterion=functional.cross_entropy, metric_name="accuracy")

    def make_splits(self) -> Splits:
        return _splits(numbers=False)

    def make_network(self) -> nn.Module:
        return _network(2)

    def perfect(self, data: Examples) -> nn.Module:
        return _Told(functional.one_hot(data.take(slice(0, None))[1], 2).float())


class TestNumbers(TaskContract):
    best = 0.0

    def make_task(self) -> Task:
        return MeasuredTask(
            measure=metrics.root_mean_squared_error,
            criterion=lambda outputs, targets: functional.mse_loss(outputs[:, 0], targets),
            metric_name="RMSE",
            maximize=False,
        )

    def make_splits(self) -> Splits:
        return _splits(numbers=True)

    def make_network(self) -> nn.Module:
        return _network(1)

    def perfect(self, data: Examples) -> nn.Module:
        return _Told(data.take(slice(0, None))[1][:, None])


def test_one_number_for_all_has_no_standard_error_but_an_array_has() -> None:
    data, network = _images(30, 3, numbers=True), _network(1).eval()

    def whole(predict: Any, data: Examples) -> float:
        return float(np.mean([float(predict(inputs).mean()) for inputs, _ in data.batches(10)]))

    def each(predict: Any, data: Examples) -> torch.Tensor:
        return torch.cat([(predict(inputs)[:, 0] - targets).abs() for inputs, targets in data.batches(10)])

    one, many = MeasuredTask(measure=whole), MeasuredTask(measure=each)
    assert one.stderr(one.outcomes(network, data), seed=0) is None
    assert one.difference(one.outcomes(network, data), one.outcomes(network, data), seed=0) == (0.0, None)
    outcomes = many.outcomes(network, data)
    assert many.stderr(outcomes, seed=0) == pytest.approx(float(outcomes.std()) / 30**0.5)


def test_outputs_reach_loss_and_metric_in_the_nesting_of_the_model() -> None:
    outputs = {"a": torch.ones(4, 2), "b": (torch.zeros(4), None)}
    task = MeasuredTask(
        measure=metrics.per_example(lambda given, _: given["b"][0]),
        criterion=lambda given, targets: (given["a"].sum(dim=1) - targets).abs(),
        distances=distances_of("auto", outputs, logits=False),
        structure=Structure.of(outputs),
    )
    flat = [torch.ones(4, 2), torch.zeros(4)]
    assert float(task.loss(flat, torch.full((4,), 5.0))) == 3.0
    assert task.restored(flat)["b"][1] is None
    assert torch.equal(task.match(flat, outputs), torch.zeros(4))
    assert bool((task.agreement(flat, outputs) == 1.0).all())


def test_distances_for_each_output() -> None:
    outputs = {"kind": torch.randn(6, 3), "value": torch.randn(6, 2, 2)}
    kinds = distances_of({"value": "mse", "kind": "kl"}, outputs, logits=False)
    assert [distance.measure for distance in kinds] == ["kl", "mse"]
    own = distances_of(lambda a, b: (a - b).abs(), outputs["kind"], logits=False)
    assert torch.allclose(own[0].of(torch.zeros(6, 3), torch.ones(6, 3), 1.0), torch.ones(6))
    with pytest.raises(NetworkError, match=r"match has 3 entries, the model gives 2 tensors"):
        distances_of(["kl"] * 3, outputs, logits=False)
    with pytest.raises(NetworkError, match=r"match names the outputs \['x'\], the model gives \['kind', 'value'\]"):
        distances_of({"x": "kl"}, outputs, logits=False)


def test_squared_errors_do_not_depend_on_the_unit() -> None:
    output, teacher = torch.randn(8, 5), torch.randn(8, 5)
    distance = Distance(measure="mse")
    assert torch.allclose(distance.of(output, teacher, 1.0), distance.of(1000 * output, 1000 * teacher, 1.0), rtol=1e-4)


def test_without_targets_the_metric_is_agreement_with_the_teacher() -> None:
    data, teacher = _images(40, 3, numbers=True), _network(3).eval()
    task = MeasuredTask(measure=metrics.accuracy, teacher=teacher)
    assert task.metric(teacher, data) == 1.0
    other = _network(3)
    with torch.no_grad():
        other[3].weight.add_(torch.randn(3, 8))
    inputs = data.take(slice(0, None))[0]
    same = (other(inputs).argmax(dim=1) == teacher(inputs).argmax(dim=1)).double().mean()
    assert task.metric(other.eval(), data) == pytest.approx(float(same))
    numbers = MeasuredTask(measure=metrics.root_mean_squared_error, teacher=teacher)
    error = (other(inputs) - teacher(inputs)).detach().double().square().sum()
    values = teacher(inputs).detach().double()
    assert numbers.metric(other, data) == pytest.approx(float(1 - error / (values - values.mean()).square().sum()))
