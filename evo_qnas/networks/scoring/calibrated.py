"""A block's network at each pair of bits, calibrated."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float

from evo_qnas.networks.quantization.quantize import Bits, QuantizedNetwork
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.training.refine import Refined, with_refined


def calibrated(
    plain: QuantizedNetwork,
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    features: Float[torch.Tensor, "n ..."],
    refined: Mapping[int, Refined] | None,
) -> Iterator[tuple[int, int, QuantizedNetwork]]:
    """Weight bits, activation bits and the network at them, which is ready until the next one is asked for.

    Args:
        plain: the block's network, not calibrated.
        weight_bits: in the order to go through.
        activation_bits: the same, for each weight bits.
        features: to calibrate on: what goes into the block.
        refined: weights that were refined for these weight bits, see `refine_operator`.
    """
    for weight in weight_bits:
        network = with_refined(plain, (refined or {}).get(weight))
        network.set_bits(Bits(weight=weight, activation=8))
        network.calibrate_weights(features.split(evaluation_batch(features)))
        for activation in activation_bits:
            network.set_bits(Bits(weight=weight, activation=activation))
            network.calibrate_activations()
            yield weight, activation, network
