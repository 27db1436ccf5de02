"""The task of the zoo: the class with the largest output, along any axis."""

from typing import Any, final

import torch
from torch import nn
from torch.nn import functional

from evo_qnas.data import Images
from evo_qnas.networks.tasks.base import Outcomes, Task, outcomes_of


@final
class Labels(Task):
    """Classes along `axis` of outputs of any shape; the metric is the share of positions of the right class.

    Only what checks of exported files ask for is here.
    """

    name = "zoo"
    about = "a class at each position"
    metric_name = "accuracy"
    unit = "%"
    maximize = True

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def agreement(self, outputs: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """True where the largest output is the same."""
        return outputs.argmax(self.axis) == other.argmax(self.axis)

    def outcomes(self, network: nn.Module, data: Images) -> Outcomes:
        """Share of right positions of each example."""
        return outcomes_of(network, data, self._right)

    def _right(self, outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (
            (outputs.argmax(self.axis) == labels)
            .float()
            .flatten(1 if labels.ndim > 1 else 0)
            .reshape(len(labels), -1)
            .mean(1)
        )

    def metric(self, network: nn.Module, data: Images) -> float:
        """Share of right positions, 0..1."""
        return self.metric_of(self.outcomes(network, data))

    def metric_of(self, outcomes: Outcomes) -> float:
        """Mean of the shares."""
        return float(outcomes.double().mean())

    def match(self, outputs: torch.Tensor, teacher_outputs: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
        """Squared distance."""
        return functional.mse_loss(outputs, teacher_outputs, reduction="none")

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, *, weights: Any = None) -> torch.Tensor:
        """Cross-entropy."""
        return functional.cross_entropy(outputs.movedim(self.axis, 1), targets)

    def check_settings(self, training: Any, finetuning: Any) -> None:
        """Nothing is refused."""

    def check_outputs(self, outputs: Any, splits: Any) -> None:
        """Nothing is refused."""

    def training_steps(self, settings: Any, examples: int) -> int:
        """No step."""
        return 0

    def train_teacher(self, network: nn.Module, splits: Any, settings: Any, **_: Any) -> list[float]:
        """Nothing is trained."""
        return []

    def augment(self, inputs: Any, targets: Any, settings: Any, generator: torch.Generator) -> tuple[Any, Any]:
        """The batch as it is."""
        return inputs, targets

    def target_weights(self, splits: Any, balance: float) -> None:
        """No weights."""

    def stderr(self, outcomes: Outcomes, *, seed: int) -> float:
        """Standard error of the mean."""
        return float(outcomes.double().std() / len(outcomes) ** 0.5)

    def difference(self, one: Outcomes, other: Outcomes, *, seed: int) -> tuple[float, float]:
        """Mean difference and its standard error."""
        apart = one.double() - other.double()
        return float(apart.mean()), float(apart.std() / len(apart) ** 0.5)
