"""Exact costs of quantized networks: packed size, multiplications, bit operations."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from evo_qnas.networks.quantization.packing import packed_bytes
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

SCALE_BYTES, BIAS_BYTES, ZERO_POINT_BYTES = 4, 4, 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a network, or a part of it, costs.

    Attributes:
        size_bytes: bit-packed weight codes (each layer padded to whole bytes), float32 scales, int32 biases, and per
            activation a float32 step and one byte of zero point.
        macs: multiplications per image.
        bit_operations: macs x weight bits x activation bits of the layer's own block (HAWQ-V3's BOPs; there the bits
            are those of the layer's input, which at a block's first layer belong to the block before).
    """

    size_bytes: int
    macs: int
    bit_operations: int


def layer_bytes(layer: QuantizedLayer) -> int:
    """Bytes of one layer's codes, scales and bias."""
    outputs = layer.weight.shape[0]
    bias = 0 if layer.bias is None else BIAS_BYTES * outputs
    return packed_bytes(layer.weight.numel(), layer.bits) + SCALE_BYTES * outputs + bias


def costs_of(
    layers: Iterable[QuantizedLayer], quantizers: Iterable[ActivationQuantizer], activation_bits: int
) -> Costs:
    """Costs of some layers and quantizers of a network whose activations have `activation_bits`."""
    chosen = list(layers)
    return Costs(
        size_bytes=sum(layer_bytes(layer) for layer in chosen)
        + sum(SCALE_BYTES + ZERO_POINT_BYTES for _ in quantizers),
        macs=sum(layer.macs for layer in chosen),
        bit_operations=sum(layer.macs * layer.bits * activation_bits for layer in chosen),
    )
