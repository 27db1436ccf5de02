"""Contracts that ship, on parts that break them: each break is seen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evo_qnas.data import DATA_SOURCES, DataCard, DataSource, Images, Splits
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.operators import Operator
from evo_qnas.networks.tasks.base import Task
from evo_qnas.networks.testing.data_sources import DataSourceContract
from evo_qnas.networks.testing.operators import OperatorContract
from evo_qnas.networks.testing.tasks import TaskContract
from tests.networks.tasks import test_contract

SHAPE = BlockShape(name="b", inputs=(4, 6, 6), outputs=(4, 6, 6))


class _Broken:
    """A task with one method replaced."""

    def __init__(self, task: Task, name: str, method: Callable[..., Any]) -> None:
        self._task, self._name, self._method = task, name, method

    def __getattr__(self, name: str) -> Any:
        return self._method if name == self._name else getattr(self._task, name)


def forgotten(network: nn.Module, *_: Any, **__: Any) -> list[float]:
    """Trains by noise that no seed decides."""
    for parameter in network.parameters():
        parameter.data.add_(torch.rand_like(parameter))
    return []


@pytest.mark.parametrize(
    ("name", "method", "test"),
    [
        ("metric_of", lambda outcomes: float(outcomes.float().mean()) + 1e-9, "the_metric_is_that_of_the_outcomes"),
        ("stderr", lambda outcomes, seed: 0.1, "more_examples_make_the_metric_surer"),
        ("train_teacher", forgotten, "training_repeats_exactly"),
        ("train_teacher", lambda *_, **__: [], "training_lowers_a_finite_loss"),
        ("difference", lambda one, other, seed: (0.25, 0.01), "equal_networks_do_not_differ"),
        ("match", lambda one, other, temperature: one.square().sum(dim=1), "outputs_match_themselves"),
        ("target_weights", lambda splits, balance: torch.ones(4), "target_weights_are_for_the_loss"),
        ("metric", lambda network, data: 0.9, "perfect_outputs_have_the_best_metric"),
    ],
)
def test_a_broken_task_fails_its_contract(name: str, method: Callable[..., Any], test: str) -> None:
    class Mine(test_contract.TestClassification):
        def make_task(self) -> Any:
            return _Broken(super().make_task(), name, method)

    assert issubclass(Mine, TaskContract)
    with pytest.raises(AssertionError, match=r".*"):
        getattr(Mine(), f"test_{test}")()


def shared(shape: BlockShape, *, block: nn.Module) -> nn.Module:
    """Shares the teacher's weights, which a builder must not."""
    return block


@pytest.mark.parametrize(
    ("builder", "takes_block", "test"),
    [
        (shared, True, "the_teachers_block_stays_as_it_is"),
        (lambda shape: None, False, "each_operator_fits_a_block"),
        (lambda shape: nn.Sequential(nn.Conv2d(4, 4, 1), _Detached()), False, "every_weight_learns"),
    ],
)
def test_a_broken_operator_fails_its_contract(builder: Callable[..., Any], takes_block: bool, test: str) -> None:
    class Mine(OperatorContract):
        def make_operators(self) -> Sequence[Operator]:
            return [Operator(label="mine", builder=builder, parameters={}, takes_block=takes_block)]

        def make_blocks(self) -> Sequence[tuple[BlockShape, nn.Module]]:
            return [(SHAPE, nn.Conv2d(4, 4, 1).eval())]

    with pytest.raises((AssertionError, RuntimeError), match=r".*"):
        getattr(Mine(), f"test_{test}")()


class _Detached(nn.Module):
    """Lets no gradient through."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.detach()


class _Random(DataSource):
    """Other data at every load."""

    about = "noise"
    keys = frozenset()

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        part = Images(pixels=torch.rand(3, 1, 2, 2), labels=torch.arange(3))
        return Splits(train=part, search=part, test=part, classes=("0", "1", "2"))


def test_a_broken_data_source_fails_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(DataSourceContract):
        def make_card(self, folder: Path) -> DataCard:
            return DataCard(name="digits")

    monkeypatch.setitem(DATA_SOURCES._made, "digits", _Random())
    with pytest.raises(AssertionError, match=r".*"):
        Mine().test_equal_cards_give_equal_data(tmp_path)
