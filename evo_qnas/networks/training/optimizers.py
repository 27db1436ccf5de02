"""The optimizer of quantized networks: weights at one rate, the logarithms of step sizes at another."""

from collections.abc import Sequence

import torch
from torch import nn

from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.scales import Scale


def learnable(networks: Sequence[QuantizedNetwork]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights, biases and float parts of the networks that learn, and the logarithms of all their step sizes."""
    layers = [layer for network in networks for layer in network.layers]
    weights = [parameter for layer in layers for parameter in (layer.weight, layer.bias) if parameter is not None]
    weights += [part for n in networks for part in n.float_parts.values() if isinstance(part, nn.Parameter)]
    thetas = [module.theta for network in networks for module in network.modules() if isinstance(module, Scale)]
    return list(dict.fromkeys(weights)), list(dict.fromkeys(thetas))


def quantized_optimizer(
    networks: Sequence[QuantizedNetwork], *, learning_rate: float, step_learning_rate: float, steps: int
) -> tuple[torch.optim.Adam, torch.optim.lr_scheduler.CosineAnnealingLR]:
    """Adam with a cosine rate; each network learns as if it were alone.

    Args:
        networks: what learns.
        learning_rate: highest rate of weights and biases.
        step_learning_rate: highest rate of the logarithms of step sizes.
        steps: of the whole schedule.

    Source: Esser et al. 2020, LSQ, for learned steps.
    """
    weights, thetas = learnable(networks)
    optimizer = torch.optim.Adam(
        [{"params": weights, "lr": learning_rate}, {"params": thetas, "lr": step_learning_rate}], fused=True
    )
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
