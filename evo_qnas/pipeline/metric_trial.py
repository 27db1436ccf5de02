"""The metric of a run on a few examples, before anything is trained."""

from typing import Any, final

import torch

from evo_qnas.data import Examples
from evo_qnas.errors import EvoQnasError, NetworkError
from evo_qnas.pipeline.context import RunContext

# Examples that a metric is tried on: enough for a mean and for resamples, a moment even of large images. Chosen.
_FEW = 4

# What code of a user's raises where values or shapes do not fit it.
_BROKEN = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


@final
class _First(Examples):
    """The first examples of others."""

    def __init__(self, whole: Examples, count: int) -> None:
        self._whole, self._count = whole, min(count, len(whole))

    def __len__(self) -> int:
        return self._count

    def take(self, chosen: Any) -> tuple[Any, Any]:
        """Inputs and targets of the examples that `chosen` names."""
        return self._whole.take(torch.arange(self._count)[chosen])

    @property
    def sample(self) -> Any:
        """Inputs of one example."""
        return self._whole.sample


def try_metric(context: RunContext) -> None:
    """Refuses a metric whose value, standard error or difference cannot be worked out.

    One that fails on a few examples, as a metric may that needs some of every class, is tried on the whole search part.

    Raises:
        NetworkError: with what it said.
    """
    search = context.splits.search
    try:
        _tried(context, _First(search, _FEW))
    except (EvoQnasError, *_BROKEN):
        try:
            _tried(context, search)
        except EvoQnasError:
            raise
        except _BROKEN as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise NetworkError(
                f"the metric {context.task.metric_name!r} does not work on the model's outputs: {first}"
            ) from error


def _tried(context: RunContext, data: Examples) -> None:
    task = context.task
    outcomes = task.outcomes(context.untrained.eval(), data)
    task.metric_of(outcomes)
    task.stderr(outcomes, seed=0)
    task.difference(outcomes, outcomes, seed=0)
