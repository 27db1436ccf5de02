"""The task of the zoo: which class has the largest output, along any axis."""

from typing import Any, final

import torch
from torch import nn
from torch.nn import functional

from evo_qnas.data import Images
from evo_qnas.networks.tasks.base import Outcomes, Task, outcomes_of


@final
class Picks(Task):
    """The class with the largest output along `axis`, at every position; targets are the outputs of the float network.

    The metric is how near the picked class lies to the largest target, as a share of the targets' range there: 1 where
    it is the same class. Two outputs agree where they pick the same class. Only what checks of exported files ask for
    is here.
    """

    name = "zoo"
    about = "a class at each position"
    metric_name = "nearness of the picked class"
    unit = "%"
    maximize = True

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def agreement(self, outputs: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """True where both pick the same class."""
        return outputs.argmax(self.axis) == other.argmax(self.axis)

    def _nearness(self, picking: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """1 minus the distance of the picked class from the largest value, as a share of the range."""
        picked = values.gather(self.axis, picking.argmax(self.axis, keepdim=True)).squeeze(self.axis)
        largest, least = values.amax(self.axis), values.amin(self.axis)
        return 1.0 - (largest - picked) / (largest - least).clamp_min(torch.finfo(values.dtype).tiny)

    def outcomes(self, network: nn.Module, data: Images) -> Outcomes:
        """Mean nearness of each example."""
        return outcomes_of(network, data, self._of_examples)

    def _of_examples(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self._nearness(outputs, targets).reshape(len(outputs), -1).mean(1)

    def metric(self, network: nn.Module, data: Images) -> float:
        """Mean nearness, 0..1."""
        return self.metric_of(self.outcomes(network, data))

    def metric_of(self, outcomes: Outcomes) -> float:
        """Mean of the examples."""
        return float(outcomes.double().mean())

    def match(self, outputs: torch.Tensor, teacher_outputs: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
        """Squared distance."""
        return functional.mse_loss(outputs, teacher_outputs, reduction="none")

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, *, weights: Any = None) -> torch.Tensor:
        """Squared distance."""
        return functional.mse_loss(outputs, targets)

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
