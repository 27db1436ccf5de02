"""Exact costs of quantized networks: packed size, multiplications, bit operations."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs of a network, or of a part of it.

    Attributes:
        size_bytes: stored bytes of layers and activation quantizers, as their schemes count them: bit-packed weight
            codes (each layer padded to whole bytes), scales, biases and zero points.
        macs: multiplications per image.
        bit_operations: macs x weight bits x activation bits of the layer's own block (HAWQ-V3's BOPs; there the bits
            are those of the layer's input, which at a block's first layer belong to the block before).
    """

    size_bytes: int
    macs: int
    bit_operations: int


def layer_bytes(layer: QuantizedLayer) -> int:
    """Stored bytes of one layer, see `Scheme.layer_bytes`."""
    return layer.scheme.layer_bytes(tuple(layer.weight.shape), layer.bits, bias=layer.bias is not None)


def costs_of(
    layers: Iterable[QuantizedLayer], quantizers: Iterable[ActivationQuantizer], activation_bits: int
) -> Costs:
    """Costs of some layers and quantizers of a network whose activations have `activation_bits`."""
    chosen = list(layers)
    return Costs(
        size_bytes=sum(layer_bytes(layer) for layer in chosen)
        + sum(quantizer.scheme.activation_bytes() for quantizer in quantizers),
        macs=sum(layer.macs for layer in chosen),
        bit_operations=sum(layer.macs * layer.bits * activation_bits for layer in chosen),
    )
