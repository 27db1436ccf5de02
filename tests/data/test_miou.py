import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.data import IGNORE
from evo_qnas.data.miou import confusion, iou_per_class, mean_iou
from evo_qnas.errors import DataError


def slow_ious(predicted: list[int], labels: list[int], classes: int) -> list[float | None]:
    """Sets of places of each class, united and intersected."""
    places = [place for place, label in enumerate(labels) if label != IGNORE]
    found: list[float | None] = []
    for this in range(classes):
        labelled = {place for place in places if labels[place] == this}
        claimed = {place for place in places if predicted[place] == this}
        union = labelled | claimed
        found.append(len(labelled & claimed) / len(union) if union else None)
    return found


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    classes = draw(st.integers(1, 6))
    count = draw(st.integers(1, 40))
    predicted = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    label = st.one_of(st.integers(0, classes - 1), st.just(IGNORE))
    return classes, predicted, draw(st.lists(label, min_size=count, max_size=count))


@given(cases())
@settings(deadline=None)
def test_equals_the_slow_twin(case: tuple[int, list[int], list[int]]) -> None:
    classes, predicted, labels = case
    matrix = confusion(torch.tensor(predicted), torch.tensor(labels), classes)
    expected = slow_ious(predicted, labels, classes)
    present = [value for value in expected if value is not None]
    for value, wanted in zip(iou_per_class(matrix).tolist(), expected, strict=True):
        assert math.isnan(value) if wanted is None else value == pytest.approx(wanted)
    if present:
        assert mean_iou(matrix) == pytest.approx(sum(present) / len(present))
    else:
        with pytest.raises(DataError, match="at least one labelled pixel"):
            mean_iou(matrix)


def test_closed_form() -> None:
    """Class 0: 2 of 3, class 1: 1 of 2, class 2 nowhere; the ignored pixel counts nowhere."""
    labels = torch.tensor([[0, 0, 1, 1], [IGNORE, IGNORE, IGNORE, IGNORE]])
    predicted = torch.tensor([[0, 0, 0, 1], [1, 2, 0, 1]])
    matrix = confusion(predicted, labels, 3)
    assert matrix.tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert mean_iou(matrix) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    matrix = confusion(torch.tensor([0, 1]), torch.tensor([0, 0]), 2)
    assert iou_per_class(matrix).tolist() == [0.5, 0.0]
    assert mean_iou(matrix) == 0.25


def test_it_is_one_matrix_and_no_mean_over_images() -> None:
    """Two images: 1 of 1 and 0 of 3 pixels right; the mean of the images' own IoU would be 1/2."""
    predicted, labels = torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 0, 0])
    parts = confusion(predicted[:1], labels[:1], 2) + confusion(predicted[1:], labels[1:], 2)
    assert torch.equal(parts, confusion(predicted, labels, 2))
    assert iou_per_class(parts)[0] == 0.25
