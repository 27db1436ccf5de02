"""A block's network at each pair of bits, calibrated, and in floats."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.networks.quantization.policy import FLOAT_ACTIVATION_BITS
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
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


def calibrated_in_floats(
    module: nn.Module,
    float_bits: Sequence[int],
    features: Float[torch.Tensor, "n ..."],
    *,
    input_bits: int,
    scheme: str,
) -> Iterator[tuple[int, int, QuantizedNetwork]]:
    """Weight bits, activation bits and a block's network in floats, with codes in and out.

    Args:
        module: the block; stays unchanged.
        float_bits: at which its parameters are stored, in the order to go through.
        features: to calibrate on: what goes into the block.
        input_bits: of the codes that go in.
        scheme: of codes.
    """
    for width in float_bits:
        bits = Bits(weight=width, activation=FLOAT_ACTIVATION_BITS)
        network = quantize(module, features[:2], Policy(fixed=bits, image_bits=input_bits, scheme=scheme))
        network.calibrate(features.split(evaluation_batch(features)))
        yield width, FLOAT_ACTIVATION_BITS, network
