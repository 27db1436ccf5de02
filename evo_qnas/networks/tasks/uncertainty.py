"""Standard errors of a metric, and of the difference of two, as the test images are a sample."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int, Num

from evo_qnas.errors import NetworkError

# A standard deviation of 200 resamples is itself known to 1 / sqrt(2 * 200) = 5 %.
_RESAMPLES = 200

MetricOf = Callable[[torch.Tensor], float]


def check_paired(one: Num[torch.Tensor, "images *numbers"], other: Num[torch.Tensor, "others *more"]) -> None:
    """Refuses outcomes that cannot be paired.

    Raises:
        NetworkError: they are not of equally many images and classes.
    """
    if one.shape != other.shape:
        raise NetworkError(
            f"outcomes of other images or classes cannot be paired: {tuple(one.shape)} and {tuple(other.shape)}"
        )


def binomial_stderr(right: Int[torch.Tensor, " images"]) -> float:
    """Standard error of the share of ones; a share of 0 or 1 counts as half an image away from it."""
    share = int(right.sum()) / len(right)
    return float(np.sqrt(max(share * (1.0 - share), 0.25 / len(right)) / len(right)))


def mcnemar_stderr(one: Int[torch.Tensor, " images"], other: Int[torch.Tensor, " images"]) -> float:
    """Standard error of the difference of two shares of ones, paired by image.

    Source: McNemar 1947.
    """
    apart = (one - other).double()
    variance = float(apart.square().mean() - apart.mean().square())
    return float(np.sqrt(max(variance, 0.25 / len(one)) / len(one)))


def bootstrap_stderr(outcomes: Num[torch.Tensor, "images *numbers"], metric_of: MetricOf, *, seed: int) -> float:
    """Spread of a metric over resampled images.

    Source: Efron 1979, the bootstrap; images, not pixels, are resampled, as pixels of one image are alike.
    """
    return float(np.std(resampled(outcomes, metric_of, seed=seed), ddof=1))


def paired_bootstrap_stderr(
    one: Num[torch.Tensor, "images *numbers"],
    other: Num[torch.Tensor, "images *numbers"],
    metric_of: MetricOf,
    *,
    seed: int,
) -> float:
    """Spread of the difference of two networks' metrics over resampled images, the same images for both.

    Source: Efron 1979.
    """
    apart = resampled(one, metric_of, seed=seed) - resampled(other, metric_of, seed=seed)
    return float(np.std(apart, ddof=1))


def resampled(
    outcomes: Num[torch.Tensor, "images *numbers"], metric_of: MetricOf, *, seed: int
) -> Float[np.ndarray, " resamples"]:
    """A metric over 200 resamples of the images; equal seeds draw the same images for every network of one split.

    Args:
        outcomes: by `Task.outcomes`.
        metric_of: that of the task.
        seed: of the resamples.
    """
    rng = np.random.default_rng(seed)
    drawn = [torch.from_numpy(rng.integers(0, len(outcomes), len(outcomes))) for _ in range(_RESAMPLES)]
    return np.array([metric_of(outcomes[rows]) for rows in drawn])
