"""BatchNorm statistics of an assembled network."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from evo_qnas.data.nests import Nest, call


@torch.no_grad()
def estimate_batch_norm(network: nn.Module, batches: Iterable[Nest]) -> None:
    """Replaces, in place, the running statistics of every BatchNorm by those over `batches` of train images.

    Each layer's statistics are those under the new statistics of the layers before it, as in training.

    Source: Yu et al. 2020, BigNAS, section 3.3 (BatchNorm calibration).
    """
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for batch in batches:
        call(network, batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
