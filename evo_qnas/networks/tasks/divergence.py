"""Training that diverges: the first step whose loss is no number, and weights that are none."""

import math
from typing import final

import torch
from torch import nn

from evo_qnas.errors import DivergenceError

# Losses on a GPU that are looked at together: each look waits for the device. Chosen, not measured.
_TOGETHER = 64


@final
class LossWatch:
    """Losses of one training, each looked at soon after it came about."""

    def __init__(self, what: str, remedy: str) -> None:
        """Nothing has been seen yet.

        Args:
            what: what learns, for the error.
            remedy: what to do, for the error.
        """
        self._what, self._remedy = what, remedy
        self._steps, self._waiting = 0, list[torch.Tensor]()

    def add(self, loss: torch.Tensor) -> None:
        """Takes in the loss of the next step.

        Raises:
            DivergenceError: a loss so far is no number; on a GPU up to 63 steps after it.
        """
        self._steps += 1
        self._waiting.append(loss.detach())
        if loss.device.type == "cpu" or len(self._waiting) == _TOGETHER:
            self._look()

    def finish(self, network: nn.Module) -> None:
        """Looks at the losses that are left and at what was learnt.

        Raises:
            DivergenceError: one of them is no number.
        """
        self._look()
        if not finite(network):
            raise DivergenceError(f"{self._what} has weights that are no numbers after its last step: {self._remedy}")

    def _look(self) -> None:
        values = [float(loss) for loss in self._waiting]
        first = self._steps - len(values) + 1
        self._waiting.clear()
        for step, value in enumerate(values, start=first):
            if not math.isfinite(value):
                raise DivergenceError(f"the loss of {self._what} is {value} in step {step}: {self._remedy}")


@torch.no_grad()
def finite(network: nn.Module) -> bool:
    """True where all weights and statistics are numbers."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in [*network.parameters(), *network.buffers()])


def first_divergent(losses: torch.Tensor) -> int | None:
    """The first step, from 1, of losses `(steps,)` that is no number; None where all are."""
    odd = torch.nonzero(~torch.isfinite(losses))
    return int(odd[0]) + 1 if len(odd) else None
