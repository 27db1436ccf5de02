"""The interface of tasks, their registry, and running a network over examples."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Num
from torch import nn

from evo_qnas.data import Examples, Splits
from evo_qnas.data.nests import call, leaves
from evo_qnas.errors import CardError, NetworkError
from evo_qnas.importing import imported
from evo_qnas.networks.tasks.settings import FinetuningSettings, TeacherSettings
from evo_qnas.registry import Registry
from evo_qnas.summary import Metric

Outcomes = Num[torch.Tensor, "examples *numbers"]

# Bounds of memory: 2**20 positions are one image of 1024 x 1024, and small examples are at most 512.
_MOST_IMAGES, _MOST_PIXELS = 512, 2**20


def evaluation_batch(inputs: Any) -> int:
    """Number of examples of these shapes to run at once: 512 small ones, fewer large ones.

    Args:
        inputs: a tensor (n, channels, *positions), or a nest of them, whose largest counts.
    """
    positions = max((math.prod(leaf.shape[2:]) for leaf in leaves(inputs)), default=1)
    return max(1, min(_MOST_IMAGES, _MOST_PIXELS // max(1, positions)))


class Task(ABC):
    """All that depends on what networks are for: training, loss, metric, and how sure a metric is.

    Outputs are what a network gives, targets what its metric and loss compare them with: tensors in our own tasks, any
    nest of tensors in others. An entry of `TASKS` or of the entry points `evo_qnas.tasks`; has no state, so that worker
    processes make their own. What it must keep is tested by `networks.testing.tasks.TaskContract`.

    Attributes:
        name: as in a card and in `TASKS`.
        about: one line for `evo-qnas list tasks`.
        metric_name: the metric in words.
        unit: `%` where the metric is a share 0..1, which people are shown times 100; else its unit, "" for none.
        maximize: whether a larger metric is a better one.
    """

    name: str
    about: str
    metric_name: str
    unit: str
    maximize: bool

    @abstractmethod
    def check_settings(self, training: TeacherSettings, finetuning: FinetuningSettings) -> None:
        """Refuses settings that cannot be meant for this task.

        Raises:
            NetworkError: with the key as it stands in a card, and what to use instead.
        """

    @abstractmethod
    def check_outputs(self, outputs: Any, splits: Splits) -> None:
        """Refuses outputs of a teacher that cannot be meant for these data.

        Args:
            outputs: of a network with fresh weights, for a few examples.
            splits: the data.

        Raises:
            NetworkError: with what the teacher gives and what the data need.
        """

    @abstractmethod
    def training_steps(self, settings: TeacherSettings, examples: int) -> int:
        """Steps that `train_teacher` takes on so many examples."""

    @abstractmethod
    def train_teacher(
        self,
        network: nn.Module,
        splits: Splits,
        settings: TeacherSettings,
        *,
        seed: int,
        device: str = "cpu",
        checkpoint: Path | None = None,
        fingerprint: str = "",
        advance: Callable[[int], None] = lambda _: None,
    ) -> list[float]:
        """Trains `network` in place on the train part; gives the metric on the search part each time it was measured.

        Equal seeds give equal weights, bit for bit, also over a stop and a checkpoint. The network ends on the CPU in
        evaluation mode.

        Args:
            network: with fresh weights, or those to start from.
            splits: the test part is not looked at.
            settings: that passed `check_settings`.
            seed: decides order and augmentation.
            device: where to train.
            checkpoint: file for the state of the training, deleted at the end; a task may do without.
            fingerprint: a checkpoint of another fingerprint is not continued.
            advance: called with the number of steps done.
        """

    @abstractmethod
    def augment(
        self, inputs: Any, targets: Any, settings: TeacherSettings | FinetuningSettings, generator: torch.Generator
    ) -> tuple[Any, Any]:
        """A batch changed at random as the settings say; the arguments stay unchanged."""

    @abstractmethod
    def target_weights(self, splits: Splits, balance: float) -> Any:
        """Weights for `loss` that balance the targets of the train part; None for a balance of 0."""

    @abstractmethod
    def loss(self, outputs: Any, targets: Any, *, weights: Any = None) -> torch.Tensor:
        """Mean loss of a batch, a scalar with gradient; finite also where nothing is labelled.

        Args:
            outputs: of a network.
            targets: of the same examples.
            weights: by `target_weights`, on the device of the outputs.
        """

    @abstractmethod
    def match(self, outputs: Any, teacher_outputs: Any, *, temperature: float = 1.0) -> torch.Tensor:
        """Distance of outputs from the teacher's, (n, *positions), at least 0 and 0 for equal ones.

        Its mean over everything is a loss; its mean over all axes but the first is the distance of each example.

        Args:
            outputs: of a network.
            teacher_outputs: for the same inputs; without gradient.
            temperature: softening of probabilities; a task without them leaves it aside.
        """

    @abstractmethod
    def agreement(self, outputs: Any, other: Any) -> torch.Tensor:
        """1 (or True) where two outputs for the same inputs mean the same, (n, *positions)."""

    @abstractmethod
    def outcomes(self, network: nn.Module, data: Examples) -> Outcomes:
        """Numbers of each example, on the CPU, from which metric, standard error and differences follow.

        Args:
            network: in evaluation mode.
            data: at least one example.

        Raises:
            NetworkError: there is no example.
        """

    @abstractmethod
    def metric(self, network: nn.Module, data: Examples) -> float:
        """Quality of a network on labelled data: to the last bit `metric_of` its outcomes."""

    @abstractmethod
    def metric_of(self, outcomes: Outcomes) -> float:
        """The metric of outcomes."""

    @abstractmethod
    def stderr(self, outcomes: Outcomes, *, seed: int) -> float | None:
        """Standard error of `metric_of`, as the examples are a sample; `seed` is that of resamples, if there are.

        None where the outcomes are one number for all examples.
        """

    @abstractmethod
    def difference(self, one: Outcomes, other: Outcomes, *, seed: int) -> tuple[float, float | None]:
        """Metric of one network minus that of another, and the standard error if known, examples paired.

        Networks err on the same examples, so that their difference is surer than either metric.

        Args:
            one: by `outcomes`.
            other: of the same examples in the same order.
            seed: of resamples, if there are.

        Raises:
            NetworkError: the outcomes are not of equally many examples and numbers.
        """


def check_logits(outputs: Any, classes: int, *, axes: int) -> None:
    """Refuses outputs that are no logits of so many classes, `(n, classes, ..)` with `axes` axes.

    Raises:
        NetworkError: with both numbers.
    """
    if not isinstance(outputs, torch.Tensor) or outputs.ndim != axes:
        got = f"the shape {tuple(outputs.shape)}" if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise NetworkError(f"the teacher must give logits with {axes} axes for this task, it gives {got}")
    if outputs.shape[1] < classes:
        raise NetworkError(
            f"the teacher has {outputs.shape[1]} outputs and the data have {classes} classes: "
            f"give it at least {classes}, such as teacher.parameters.classes = {classes}"
        )


TASKS: Registry[Task] = Registry(
    "task",
    "evo_qnas.tasks",
    Task,
    {
        "classification": "evo_qnas.networks.tasks.classification:Classification",
        "segmentation": "evo_qnas.networks.tasks.segmentation:Segmentation",
    },
    error=CardError,
)


def find_task(name: str) -> Task:
    """The task that a card names: an entry of `TASKS`, or `module:object`, a task or a class of one.

    Raises:
        CardError: there is none.
    """
    if ":" not in name:
        return TASKS.get(name)
    found = imported(name, key="task", error=CardError)
    made = found() if isinstance(found, type) else found
    if not isinstance(made, Task):
        raise CardError(f"task = {name!r} is a {type(made).__name__}, not a networks.tasks.base.Task")
    return made


def known_task(name: str) -> str:
    """`name`, where it is an entry of `TASKS` or of the form `module:object`; nothing is imported.

    Raises:
        CardError: it is neither.
    """
    return name if ":" in name else TASKS.require(name)


def is_better(task: Task, value: float, best: float) -> bool:
    """True where a metric is strictly better than another."""
    return value > best if task.maximize else value < best


def metric_value(task: Task) -> Metric:
    """A task's metric as the value that `summary.json` holds, which also formats it."""
    return Metric(name=task.metric_name, maximize=task.maximize, unit=task.unit)


@torch.no_grad()
def outcomes_of(network: nn.Module, data: Examples, each: Callable[[Any, Any], Outcomes]) -> Outcomes:
    """Outcomes of all examples, a few at a time, on the CPU.

    Args:
        network: in evaluation mode.
        data: at least one example.
        each: outcomes of a batch from the network's outputs and the targets.

    Raises:
        NetworkError: there is no example.
    """
    parts = [each(call(network, inputs), targets) for inputs, targets in data.parts(evaluation_batch(data.sample))]
    if not parts:
        raise NetworkError("a metric needs at least one example")
    return torch.cat(parts).cpu()
