"""The contract of tasks, as a test class."""

import copy
from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import nn

from evo_qnas.data import Examples, Splits
from evo_qnas.networks.tasks.base import TASKS, Task, is_better
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings


class TaskContract(ABC):
    """Tests that every task must pass; inherit and say what to test it on, pytest finds the rest.

    Attributes:
        settings: of a short training that `network` learns something by.
        finetuning: settings that the task accepts.

    Example:
        >>> class TestMine(TaskContract):
        ...     def make_task(self):
        ...         return ...
        ...
        ...     def make_splits(self):
        ...         return ...
        ...
        ...     def make_network(self):
        ...         return ...
        ...
        ...     def perfect(self, data):
        ...         return ...
    """

    settings = TeacherSettings(epochs=6, batch_size=8, learning_rate=1e-2, weight_decay=1e-4)
    finetuning = FinetuningSettings(
        epochs=1, batch_size=8, learning_rate=1e-3, step_learning_rate=1e-2, temperature=2.0, teacher_share=0.5
    )

    @abstractmethod
    def make_task(self) -> Task:
        """A new task."""

    @abstractmethod
    def make_splits(self) -> Splits:
        """Data that the network can learn; every call gives equal ones."""

    @abstractmethod
    def make_network(self) -> nn.Module:
        """A network with fresh weights; every call gives an equal one."""

    @abstractmethod
    def perfect(self, data: Examples) -> nn.Module:
        """A module that gives the right outputs for the images of `data`, run in their order."""

    best = 1.0

    def trained(self, seed: int = 3) -> tuple[nn.Module, list[float], int]:
        """A trained network, the metrics on the way, and the number of steps."""
        network, steps = self.make_network(), 0

        def count(done: int) -> None:
            nonlocal steps
            steps += done

        history = self.make_task().train_teacher(network, self.make_splits(), self.settings, seed=seed, advance=count)
        return network, history, steps

    def loss_of(self, network: nn.Module) -> float:
        """The task's loss on the train part."""
        inputs, targets = self.make_splits().train.take(slice(0, None))
        with torch.no_grad():
            loss = self.make_task().loss(network.eval()(inputs), targets)
        assert loss.ndim == 0
        return float(loss)

    def test_it_is_named(self) -> None:
        """The task says in a line what it is, and what it measures; where it is registered, by its own name."""
        task = self.make_task()
        assert task.about
        assert "\n" not in task.about
        assert task.metric_name
        assert task.name not in TASKS or type(TASKS.get(task.name)) is type(task)

    def test_settings_are_accepted(self) -> None:
        """The settings of this contract are among those that the task accepts."""
        self.make_task().check_settings(self.settings, self.finetuning)

    def test_outputs_are_accepted(self) -> None:
        """The outputs of this contract's network are among those that the task accepts."""
        splits, network = self.make_splits(), self.make_network().eval()
        with torch.no_grad():
            self.make_task().check_outputs(network(splits.train.take(slice(0, 2))[0]), splits)

    def test_training_lowers_a_finite_loss(self) -> None:
        """The loss is finite and falls, and the steps are as many as predicted."""
        before = self.loss_of(self.make_network())
        network, history, steps = self.trained()
        after = self.loss_of(network)
        assert np.isfinite([before, after, *history]).all()
        assert after < before
        assert steps == self.make_task().training_steps(self.settings, len(self.make_splits().train))
        assert not network.training

    def test_training_repeats_exactly(self) -> None:
        """Equal seeds give equal weights, another seed others."""
        states = [self.trained(seed)[0].state_dict() for seed in (3, 3, 4)]
        first, again, other = (list(state.values()) for state in states)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))

    def test_augmentation_leaves_its_arguments_alone(self) -> None:
        """A batch keeps its length, and its tensors stay unchanged."""
        inputs, targets = self.make_splits().train.take(slice(0, 8))
        before = copy.deepcopy((inputs, targets))
        generator = torch.Generator().manual_seed(0)
        changed, _ = self.make_task().augment(inputs, targets, self.settings, generator)
        assert len(changed) == len(inputs)
        assert torch.equal(inputs, before[0])
        assert torch.equal(targets, before[1])

    def test_target_weights_are_for_the_loss(self) -> None:
        """A balance of 0 weighs nothing; what another gives is accepted by the loss."""
        task, splits = self.make_task(), self.make_splits()
        assert task.target_weights(splits, 0.0) is None
        inputs, targets = splits.train.take(slice(0, 8))
        weights = task.target_weights(splits, 0.5)
        assert torch.isfinite(task.loss(self.make_network().eval()(inputs), targets, weights=weights))

    def test_perfect_outputs_have_the_best_metric(self) -> None:
        """No network is better than one that gives what is right."""
        task, data = self.make_task(), self.make_splits().test
        assert task.metric(self.perfect(data), data) == self.best
        assert not is_better(task, task.metric(self.make_network().eval(), data), self.best)

    def test_the_metric_is_that_of_the_outcomes(self) -> None:
        """Outcomes are one row per example on the CPU, and say the metric to the last bit."""
        task, data = self.make_task(), self.make_splits().test
        network = self.make_network().eval()
        outcomes = task.outcomes(network, data)
        assert len(outcomes) == len(data)
        assert outcomes.device.type == "cpu"
        assert task.metric_of(outcomes) == task.metric(network, data)

    def test_more_examples_make_the_metric_surer(self) -> None:
        """Sixteen times the examples quarter the standard error; a third of that is allowed for resampling."""
        task, data = self.make_task(), self.make_splits().test
        outcomes = task.outcomes(self.make_network().eval(), data)
        few, many = (task.stderr(torch.cat([outcomes] * count), seed=0) for count in (1, 16))
        assert few is not None
        assert many is not None
        assert few > 0.0
        assert few / 6.0 < many < few / 2.7
        assert task.stderr(outcomes, seed=0) == few

    def test_equal_networks_do_not_differ(self) -> None:
        """The difference of a network from itself is 0 and no less sure than its metric; differences are signed."""
        task, data = self.make_task(), self.make_splits().test
        one, other = (task.outcomes(network, data) for network in (self.perfect(data), self.make_network().eval()))
        same, spread = task.difference(other, other, seed=0)
        whole = task.stderr(other, seed=0)
        assert spread is not None
        assert whole is not None
        assert same == 0.0
        assert 0.0 <= spread <= whole
        assert task.difference(one, other, seed=0)[0] == task.metric_of(one) - task.metric_of(other)
        assert task.difference(other, one, seed=0)[0] == task.metric_of(other) - task.metric_of(one)

    def test_outputs_match_themselves(self) -> None:
        """Equal outputs are at no distance and agree everywhere; others are further away, with a gradient."""
        task, (inputs, _) = self.make_task(), self.make_splits().test.take(slice(0, 4))
        with torch.no_grad():
            target = self.make_network().eval()(inputs)
        output = self.trained()[0](inputs)
        same = task.match(target, target, temperature=2.0)
        assert len(same) == len(inputs)
        assert float(same.abs().max()) < 1e-6
        assert bool((task.agreement(target, target) == 1).all())
        apart = task.match(output, target, temperature=2.0)
        assert float(apart.detach().mean()) > 0.0
        assert apart.requires_grad
