"""How far a metric may be off because the test images are a sample."""

import numpy as np
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.data.miou import confusion, mean_iou
from evo_qnas.networks.tasks import Task, evaluation_batch

_RESAMPLES = 200


@torch.no_grad()
def metric_stderr(task: Task, network: nn.Module, images: Images, *, seed: int) -> float:
    """Standard error of `task.metric`: binomial for accuracy, for mIoU the spread over resampled images.

    Args:
        task: classification or segmentation.
        network: in evaluation mode.
        images: those the metric is of.
        seed: of the 200 resamples.

    Source: Efron 1979, the bootstrap; images, not pixels, are resampled, as pixels of one image are alike.
    """
    if task.name == "classification":
        share = task.metric(network, images)
        return float(np.sqrt(max(share * (1.0 - share), 0.25 / len(images)) / len(images)))
    counts = []
    for pixels, labels in images.parts(evaluation_batch(images.pixels)):
        logits = network(pixels)
        found = task.predict(logits, tuple(labels.shape[1:]))
        counts += [
            confusion(found[row : row + 1], labels[row : row + 1], logits.shape[1]) for row in range(len(labels))
        ]
    each = torch.stack(counts)
    rng = np.random.default_rng(seed)
    values = [
        mean_iou(each[torch.from_numpy(rng.integers(0, len(each), len(each)))].sum(dim=0)) for _ in range(_RESAMPLES)
    ]
    return float(np.std(values, ddof=1))
