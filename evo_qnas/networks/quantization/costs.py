"""Exact costs of quantized networks: packed size, multiplications, bit operations."""

from dataclasses import dataclass
from math import prod
from typing import final

from evo_qnas.networks.quantization.network import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import QuantizedLayer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs of a network, or of a part of it.

    Attributes:
        size_bytes: stored bytes of layers and activation quantizers, as their schemes count them: bit-packed weight
            codes (each layer padded to whole bytes), scales, biases and zero points; float parts at the width at which
            they are stored.
        macs: multiplications per image, those of two activations (attention) too.
        bit_operations: macs x weight bits x activation bits of the layer's own block (HAWQ-V3's BOPs; there the bits
            are those of the layer's input, which at a block's first layer belong to the block before); of a product of
            two activations macs x activation bits squared, and of what is computed in floats macs x 16 or 32 (stored
            bits of weights) x 32.
    """

    size_bytes: int
    macs: int
    bit_operations: int


def layer_bytes(layer: QuantizedLayer) -> int:
    """Stored bytes of one layer, see `Scheme.layer_bytes`; those of its bias where another one stores the weights."""
    shape, bias = tuple(layer.weight.shape), layer.bias is not None
    whole = layer.scheme.layer_bytes(shape, layer.bits, bias=bias)
    return whole if layer.owner is layer else whole - layer.scheme.layer_bytes(shape, layer.bits, bias=False)


def costs_of(network: QuantizedNetwork, activation_bits: int, *, block: str | None = None, image: bool = True) -> Costs:
    """Costs of a network whose activations have `activation_bits`, or of a part of it.

    Args:
        network: quantized, calibrated or not.
        activation_bits: of the part.
        block: name of the block, "" for the fixed part, None for everything.
        image: with the quantizers of the network's inputs, which of a block alone belong to what comes before it.
    """
    layers = [layer for layer in network.layers if block in {None, layer.block}]
    quantizers = network.quantizers if image else network.quantizers[network.inputs :]
    products = [product for product in network.products if block in {None, product.block}]
    own = [quantizer for quantizer in quantizers if block in {None, quantizer.block}]
    floats = [t for name, t in network.stored_floats().items() if block in {None, network.float_blocks[name]}]
    return Costs(
        size_bytes=sum(layer_bytes(layer) for layer in layers)
        + sum(quantizer.scheme.activation_bytes() for quantizer in own)
        + sum(tensor.numel() * tensor.element_size() for tensor in floats),
        macs=sum(layer.macs for layer in layers) + sum(product.macs for product in products),
        bit_operations=sum(layer.macs * layer.bits * activation_bits for layer in layers)
        + sum(product.macs * prod(product.bits or (activation_bits, activation_bits)) for product in products),
    )
