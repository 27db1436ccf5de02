"""Agreement with the teacher as a metric, where there are no targets."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float

from evo_qnas.data.nests import leaves
from evo_qnas.metrics import Metric
from evo_qnas.networks.tasks.distances import KL, Distance


def agreement_with(distances: Callable[[Any], tuple[Distance, ...]]) -> Metric:
    """Share of equal classes where outputs are logits, of explained variance where they are numbers; mean over outputs.

    Args:
        distances: of the teacher's outputs.
    """
    return Metric(name="agreement with the teacher", each=partial(_each, distances), reduce=_mean_agreement, unit="%")


def _each(distances: Callable[[Any], tuple[Distance, ...]], outputs: Any, teacher: Any) -> Float[torch.Tensor, "n k 4"]:
    """Of each example and output: squared error, number, sum and sum of squares of the teacher's values.

    Of logits: positions that agree in place of the error, their number, and -1 twice.
    """
    columns = []
    for distance, output, target in zip(distances(teacher), leaves(outputs), leaves(teacher), strict=True):
        if distance.measure == KL:
            same = (output.argmax(distance.axis) == target.argmax(distance.axis)).double().reshape(len(target), -1)
            none = torch.full((len(target),), -1.0, dtype=torch.float64)
            columns.append(torch.stack([same.sum(dim=1), torch.full_like(none, same.shape[1]), none, none], dim=1))
            continue
        values, error = target.double().reshape(len(target), -1), (output.double() - target.double())
        count = torch.full((len(target),), values.shape[1], dtype=torch.float64)
        numbers = [error.square().reshape(len(target), -1).sum(dim=1), count, values.sum(dim=1)]
        columns.append(torch.stack([*numbers, values.square().sum(dim=1)], dim=1))
    return torch.stack(columns, dim=1)


def _mean_agreement(outcomes: Float[torch.Tensor, "n k 4"]) -> float:
    first, count, total, squares = outcomes.double().sum(dim=0).unbind(dim=1)
    variance = (squares - total.square() / count).clamp_min(torch.finfo(torch.float64).tiny)
    shares = torch.where(outcomes[0, :, 3] < 0.0, first / count, 1.0 - first / variance)
    return float(shares.mean())
