"""Convolutions and linear layers in TFLite: int8 activations, weights with a step per channel, int32 biases."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.export.common.arguments import convolution_arguments
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import in_order, reshaped
from evo_qnas.networks.export.tflite.numbers import last_in_file
from evo_qnas.networks.export.tflite.transposed import transposed_convolution
from evo_qnas.networks.export.tflite.values import Pending, Tensor, channels_last, shape_of
from evo_qnas.networks.export.tflite.weights import stored_weights
from evo_qnas.networks.export.tflite.windows import mode_of, padded
from evo_qnas.networks.quantization.quantizers import QuantizedLayer

_MAPS = channels_last(4)


def layer(builder: TfliteBuilder, node: fx.Node, layer: QuantizedLayer, source: Tensor) -> Pending:
    """A layer whose result waits for its quantizer.

    Raises:
        NetworkError: TFLite has no such layer.
    """
    if layer.role is Role.LINEAR:
        return _linear(builder, node, layer, source)
    if layer.weight.ndim not in (3, 4):
        raise NetworkError(f"{layer.name} is no convolution of one or two axes: TFLite has no other")
    line, shape = layer.weight.ndim == 3, shape_of(node)
    if line:
        source, shape = reshaped(builder, source, _with_line(source.shape)), _with_line(shape)
    source = in_order(builder, source, _MAPS)
    if layer.role is Role.TRANSPOSED_CONVOLUTION:
        return transposed_convolution(builder, layer, source, shape, finish=_as_line if line else None)
    made = _convolution(builder, layer, source, shape)
    return replace(made, finish=_as_line) if line else made


def _with_line(shape: Sequence[int]) -> tuple[int, ...]:
    """Maps of one axis as maps of two, the first of one value."""
    return (*shape[:-1], 1, shape[-1])


def _as_line(builder: TfliteBuilder, source: Tensor) -> Tensor:
    return reshaped(builder, source, (*source.shape[:-2], source.shape[-1]))


def _linear(builder: TfliteBuilder, node: fx.Node, layer: QuantizedLayer, source: Tensor) -> Pending:
    shape = shape_of(node)
    source = last_in_file(builder, source, -1)
    options = builder.schema.FullyConnectedOptionsT(keepNumDims=len(shape) > 2)
    inputs = stored_weights(builder, layer, source, layer.weight_codes().numpy(force=True), axis=0)
    return Pending(code="FULLY_CONNECTED", inputs=inputs, shape=shape, order=source.order, options=options, fuses=True)


def _convolution(builder: TfliteBuilder, layer: QuantizedLayer, source: Tensor, shape: Sequence[int]) -> Pending:
    strides, pads, dilations, groups = convolution_arguments(layer.weight.shape, layer.arguments)
    codes = layer.weight_codes().numpy(force=True)
    if codes.ndim == 3:
        codes = codes[:, :, None, :]
        strides, dilations, pads = [1, *strides], [1, *dilations], [0, pads[0], 0, pads[1]]
    effective = [d * (size - 1) + 1 for d, size in zip(dilations, codes.shape[2:], strict=True)]
    padding = mode_of(source.shape[2:], shape[2:], effective, strides, pads)
    if padding is None:
        source = padded(builder, source, pads[:2], pads[2:], float(source.zero))
    options: dict[str, Any] = {
        "padding": builder.schema.Padding.SAME if padding == "SAME" else builder.schema.Padding.VALID,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilations[0],
        "dilationWFactor": dilations[1],
    }
    made = partial(Pending, shape=tuple(shape), order=_MAPS, fuses=True)
    if groups == source.shape[1] and groups > 1:
        inputs = stored_weights(builder, layer, source, codes.transpose(1, 2, 3, 0), axis=3)
        depthwise = builder.schema.DepthwiseConv2DOptionsT(depthMultiplier=codes.shape[0] // groups, **options)
        return made(code="DEPTHWISE_CONV_2D", inputs=inputs, options=depthwise)
    inputs = stored_weights(builder, layer, source, codes.transpose(0, 2, 3, 1), axis=0)
    return made(code="CONV_2D", inputs=inputs, options=builder.schema.Conv2DOptionsT(**options))
