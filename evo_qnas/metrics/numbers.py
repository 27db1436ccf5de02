"""Metrics of numbers."""

import torch
from jaxtyping import Float, Num

from evo_qnas.errors import NetworkError
from evo_qnas.metrics.metric import Metric


def _apart(
    outputs: Float[torch.Tensor, "n *outs"], targets: Num[torch.Tensor, "n *shape"]
) -> Float[torch.Tensor, "n values"]:
    """Differences; a single output may stand in an axis of its own.

    Raises:
        NetworkError: there are more or fewer outputs than targets.
    """
    if outputs.numel() != targets.numel():
        raise NetworkError(f"outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)} are not as many numbers")
    return (outputs.reshape(targets.shape) - targets).reshape(len(targets), -1).double()


def _absolute(
    outputs: Float[torch.Tensor, "n *outs"], targets: Num[torch.Tensor, "n *shape"]
) -> Float[torch.Tensor, " n"]:
    return _apart(outputs, targets).abs().mean(dim=1)


def _squared(
    outputs: Float[torch.Tensor, "n *outs"], targets: Num[torch.Tensor, "n *shape"]
) -> Float[torch.Tensor, " n"]:
    return _apart(outputs, targets).square().mean(dim=1)


def _root(outcomes: Float[torch.Tensor, " n"]) -> float:
    return float(outcomes.mean().sqrt())


mean_absolute_error = Metric(name="MAE", each=_absolute, maximize=False)
root_mean_squared_error = Metric(name="RMSE", each=_squared, reduce=_root, maximize=False)
