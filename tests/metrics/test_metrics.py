"""Metrics in closed form, and against a few obvious lines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from evo_qnas import metrics
from evo_qnas.data.live import Reading, examples_of
from evo_qnas.errors import NetworkError
from evo_qnas.metrics import Boxes, Metric
from evo_qnas.metrics.boxes import overlaps
from evo_qnas.networks.tasks.measured import MeasuredTask

RNG = torch.Generator().manual_seed(0)


def value(metric: Metric, outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return metric.reduce(metric.each(outputs, targets))


def test_accuracy_and_top_k_by_hand() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0]])
    labels = torch.tensor([0, 1, 1, 1])
    assert value(metrics.accuracy, logits, labels) == 0.5
    assert value(metrics.top_k(2), logits, labels) == 0.75
    assert metrics.top_k(2).name == "top-2 accuracy"


def test_accuracy_of_tokens_leaves_ignored_ones_out() -> None:
    logits = torch.eye(4)[torch.tensor([[0, 1, 2], [3, 3, 3]])]
    labels = torch.tensor([[0, 1, -100], [3, 0, -100]])
    assert value(metrics.accuracy, logits, labels) == 3 / 4
    assert value(metrics.accuracy, logits.transpose(1, 2), labels) == 3 / 4


def test_mean_iou_is_that_of_the_confusion_matrix() -> None:
    logits = torch.randn(3, 4, 5, 6, generator=RNG)
    labels = torch.randint(0, 4, (3, 5, 6), generator=RNG)
    labels[0, 0] = 255
    known, predicted = labels != 255, logits.argmax(dim=1)
    shares = []
    for label in range(4):
        both = ((predicted == label) & (labels == label) & known).sum()
        either = (((predicted == label) | (labels == label)) & known).sum()
        shares.append(float(both / either))
    assert value(metrics.mean_iou(), logits, labels) == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_f1_is_that_of_scikit_learn(average: str) -> None:
    from sklearn.metrics import f1_score

    outputs, targets = torch.randn(40, 5, generator=RNG), (torch.rand(40, 5, generator=RNG) > 0.6).float()
    expected = f1_score(targets.numpy(), (outputs > 0.0).numpy(), average=average)
    assert value(metrics.f1(average=average), outputs, targets) == pytest.approx(expected)


def test_an_average_that_there_is_not() -> None:
    with pytest.raises(ValueError, match=r"average = 'mean': choose micro or macro"):
        metrics.f1(average="mean")


def test_errors_of_numbers() -> None:
    outputs, targets = torch.tensor([[1.0], [2.0], [5.0]]), torch.tensor([1.0, 4.0, 1.0])
    assert value(metrics.mean_absolute_error, outputs, targets) == pytest.approx(2.0)
    assert value(metrics.root_mean_squared_error, outputs, targets) == pytest.approx(np.sqrt(20 / 3))
    with pytest.raises(NetworkError, match=r"outputs \(3, 1\) and targets \(3, 2\) are not as many numbers"):
        metrics.mean_absolute_error.each(outputs, torch.zeros(3, 2))


def test_a_metric_is_called_like_any_function(tmp_path: object) -> None:
    outputs, targets = torch.randn(10, 3, generator=RNG), torch.randint(0, 3, (10,), generator=RNG)
    data = examples_of((outputs, targets), Reading(), folder=tmp_path)
    assert metrics.accuracy(lambda inputs: inputs, data) == value(metrics.accuracy, outputs, targets)


# Boxes


def boxes(rows: list[tuple[float, float, float, float]], labels: list[int], scores: list[float] | None = None) -> Boxes:
    return Boxes(
        corners=torch.tensor(rows).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        scores=None if scores is None else torch.tensor(scores),
    )


def average_precision(found: list[Boxes], true: list[Boxes], **settings: object) -> float:
    metric = metrics.mean_average_precision(lambda out: out, lambda out: out, **settings)
    return metric.reduce(metric.each(found, true))


SQUARE, OTHER, FAR = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 30.0, 30.0), (50.0, 50.0, 60.0, 60.0)


def test_perfect_boxes() -> None:
    true = [boxes([SQUARE, OTHER], [0, 1]), boxes([FAR], [1])]
    found = [boxes([SQUARE, OTHER], [0, 1], [0.9, 0.8]), boxes([FAR], [1], [0.7])]
    assert average_precision(found, true, classes=2) == pytest.approx(1.0)


def test_half_of_the_boxes_found_reads_precision_at_half_of_the_recalls() -> None:
    true = [boxes([SQUARE, OTHER], [0, 0])]
    found = [boxes([SQUARE], [0], [0.9])]
    # Precision 1 at the 51 recalls 0 .. 0.5, then 0.
    assert average_precision(found, true, classes=1) == pytest.approx(51 / 101)


def test_a_false_box_that_is_surer_halves_the_precision() -> None:
    true = [boxes([SQUARE], [0])]
    found = [boxes([FAR, SQUARE], [0, 0], [0.9, 0.8])]
    assert average_precision(found, true, classes=1) == pytest.approx(0.5)


def test_a_box_is_found_once() -> None:
    true = [boxes([SQUARE, OTHER], [0, 0])]
    found = [boxes([SQUARE, SQUARE, OTHER], [0, 0, 0], [0.9, 0.8, 0.7])]
    # Right, wrong, right: precision 1 up to recall 0.5, then 2/3.
    assert average_precision(found, true, classes=1) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_overlap_decides_and_classes_without_boxes_are_left_out() -> None:
    true = [boxes([SQUARE], [0])]
    found = [boxes([(0.0, 0.0, 10.0, 6.0)], [0], [0.9])]
    assert average_precision(found, true, classes=3) == pytest.approx(1.0)
    assert average_precision(found, true, classes=3, iou=0.75) == pytest.approx(0.0)
    assert average_precision(found, true, classes=3, iou=[0.5, 0.75]) == pytest.approx(0.5)
    assert average_precision([boxes([SQUARE], [1], [0.9])], true, classes=3) == pytest.approx(0.0)


def slow_average_precision(found: list[Boxes], true: list[Boxes], threshold: float) -> float:
    """COCO's evaluation of one class in a few obvious lines."""
    rows = []
    for image, (mine, theirs) in enumerate(zip(found, true, strict=True)):
        used: set[int] = set()
        for row in np.argsort(-mine.scores.numpy(), kind="stable"):
            shared = [float(v) for v in overlaps(mine.corners[row : row + 1], theirs.corners)[0]]
            free = [(value, at) for at, value in enumerate(shared) if at not in used and value >= threshold]
            best = max(free, key=lambda pair: (pair[0], -pair[1]), default=None)
            if best is not None:
                used.add(best[1])
            rows.append((float(mine.scores[row]), image, best is not None))
    rows.sort(key=lambda row: -row[0])
    count, right, points = sum(len(part.labels) for part in true), 0, []
    for at, (_, _, hit) in enumerate(rows, start=1):
        right += hit
        points.append((right / count, right / at))
    return float(
        np.mean([max((p for r, p in points if r >= recall), default=0.0) for recall in np.linspace(0, 1, 101)])
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 6))
def test_average_precision_is_that_of_obvious_lines(seed: int, images: int, most: int) -> None:
    rng = np.random.default_rng(seed)

    def drawn(count: int) -> list[tuple[float, float, float, float]]:
        low = rng.uniform(0, 10, (count, 2))
        return [(*a, *(a + b)) for a, b in zip(low, rng.uniform(2, 8, (count, 2)), strict=True)]

    true, found = [], []
    for _ in range(images):
        count, said = int(rng.integers(1, most + 1)), int(rng.integers(0, most + 1))
        true.append(boxes(drawn(count), [0] * count))
        # Scores apart, so that the order of equal ones plays no part.
        found.append(boxes(drawn(said), [0] * said, rng.permutation(1000)[:said].astype(np.float32).tolist()))
    scores = [float(score) for part in found for score in part.scores]
    if len(set(scores)) == len(scores):
        expected = slow_average_precision(found, true, 0.3)
        assert average_precision(found, true, classes=1, iou=0.3) == pytest.approx(expected)


class _Outputs(nn.Module):
    """Gives the inputs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_true_and_false_and_whole_numbers_are_outcomes_with_standard_errors(tmp_path: Path) -> None:
    numbers = torch.arange(12.0)
    data = examples_of((numbers, torch.full((12,), 6.0)), Reading(), folder=tmp_path)
    hits = MeasuredTask(measure=metrics.per_example(lambda outputs, targets: outputs < targets, name="hits"))
    counts = MeasuredTask(measure=metrics.per_example(lambda outputs, targets: outputs.long(), name="count"))
    right, many = hits.outcomes(_Outputs(), data), counts.outcomes(_Outputs(), data)
    assert hits.metric_of(right) == 0.5
    assert hits.stderr(right, seed=0) == pytest.approx((0.5 * 0.5 / 12) ** 0.5)
    assert hits.difference(right, 1 - right, seed=0)[1] == pytest.approx((1.0 / 12) ** 0.5)
    # Counts are no shares: the deviation of 0 .. 11 over the root of 12, which the binomial would put at near 0.
    assert counts.stderr(many, seed=0) == pytest.approx(float(numbers.std()) / 12**0.5)
    own = MeasuredTask(measure=metrics.per_example(lambda outputs, targets: outputs < targets, reduce=_own_mean))
    assert own.metric_of(own.outcomes(_Outputs(), data)) == 0.5


def _own_mean(outcomes: torch.Tensor) -> float:
    return float(outcomes.mean())


@pytest.mark.parametrize(("each", "got"), [(torch.Tensor.mean, r"shape \(\)"), (torch.Tensor.numpy, "ndarray")])
def test_what_is_no_outcome_for_each_example_is_refused(each: Any, got: str, tmp_path: Path) -> None:
    data = examples_of((torch.arange(4.0), torch.zeros(4)), Reading(), folder=tmp_path)
    metric = metrics.per_example(lambda outputs, targets: each(outputs), name="odd")
    with pytest.raises(NetworkError, match=rf"metric 'odd' gives {got} for 4 examples: give a tensor \(n,\)"):
        metric(lambda inputs: inputs, data)
