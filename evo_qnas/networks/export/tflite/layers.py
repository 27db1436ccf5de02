"""Convolutions and linear layers in TFLite: int8 activations, weights with a step per channel, int32 biases."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import LINEAR
from evo_qnas.networks.export.common.arguments import convolution_arguments
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.values import Int8Codes, Pending, shape_of, stored_shape
from evo_qnas.networks.quantization.quantizers import QuantizedLayer


def layer(builder: TfliteBuilder, node: fx.Node, layer: QuantizedLayer, source: Int8Codes) -> Pending:
    """A layer whose result waits for its quantizer.

    Raises:
        NetworkError: TFLite has no such layer.
    """
    if layer.operation in LINEAR:
        return _linear(builder, node, layer, source)
    if layer.weight.ndim != 4:
        raise NetworkError(f"{layer.name} is no convolution of maps: TFLite has no other; export it as ONNX")
    return _convolution(builder, node, layer, source)


def _linear(builder: TfliteBuilder, node: fx.Node, layer: QuantizedLayer, source: Int8Codes) -> Pending:
    shape = shape_of(node)
    if len(shape) == 4:
        raise NetworkError(f"the linear layer {layer.name} works on four axes: flatten two of them for TFLite")
    options = builder.schema.FullyConnectedOptionsT(keepNumDims=len(shape) > 2)
    inputs = _inputs(builder, layer, source, layer.weight_codes().numpy(force=True), axis=0)
    return Pending(code="FULLY_CONNECTED", inputs=inputs, shape=shape, options=options, fuses=True)


def _convolution(builder: TfliteBuilder, node: fx.Node, layer: QuantizedLayer, source: Int8Codes) -> Pending:
    strides, pads, dilations, groups = convolution_arguments(layer.weight.shape, layer.arguments)
    codes = layer.weight_codes().numpy(force=True)
    shape = shape_of(node)
    effective = [d * (size - 1) + 1 for d, size in zip(dilations, codes.shape[2:], strict=True)]
    padding = mode_of(source.shape[2:], shape[2:], effective, strides, pads)
    if padding is None:
        source = padded(builder, source, pads[:2], pads[2:], source.zero)
    options: dict[str, Any] = {
        "padding": builder.schema.Padding.SAME if padding == "SAME" else builder.schema.Padding.VALID,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilations[0],
        "dilationWFactor": dilations[1],
    }
    if groups == source.shape[1] and groups > 1:
        inputs = _inputs(builder, layer, source, codes.transpose(1, 2, 3, 0), axis=3)
        made = builder.schema.DepthwiseConv2DOptionsT(depthMultiplier=codes.shape[0] // groups, **options)
        return Pending(code="DEPTHWISE_CONV_2D", inputs=inputs, shape=shape, options=made, fuses=True)
    inputs = _inputs(builder, layer, source, codes.transpose(0, 2, 3, 1), axis=0)
    made = builder.schema.Conv2DOptionsT(**options)
    return Pending(code="CONV_2D", inputs=inputs, shape=shape, options=made, fuses=True)


def _inputs(
    builder: TfliteBuilder, layer: QuantizedLayer, source: Int8Codes, codes: np.ndarray, *, axis: int
) -> tuple[int, int, int]:
    """Tensors that a layer reads: activations, weights, bias (zeros where there is none: old readers ask for one).

    Weights of any bits are int8: the format has 4-bit weights, but XNNPACK's convolutions read none.
    """
    if layer.scheme.has_weight_zero_points:
        raise NetworkError(f"the weights of {layer.name} have zero points, TFLite knows none: export it as ONNX")
    steps = layer.scale().numpy(force=True)
    content = np.ascontiguousarray(codes.astype(np.int8)).tobytes()
    weights = builder.tensor(f"{layer.name}.codes", codes.shape, "INT8", step=steps, axis=axis, content=content)
    stored = layer.bias_codes()
    bias = np.zeros(len(layer.weight), dtype=np.int32) if stored is None else stored.numpy(force=True).astype(np.int32)
    step = np.float32(source.step) * steps
    name = f"{layer.name}.bias"
    return source.tensor, weights, builder.tensor(name, bias.shape, "INT32", step=step, content=bias.tobytes())


def mode_of(
    source: Sequence[int], result: Sequence[int], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> str | None:
    """TFLite's name for a padding, None where it has none and an operator has to pad before.

    Args:
        source: map size.
        result: map size behind the kernel.
        kernel: its size with dilation.
        strides: of the kernel.
        pads: beginnings of both axes, then endings.

    Example:
        >>> mode_of((8, 8), (8, 8), (3, 3), (1, 1), (1, 1, 1, 1)), mode_of((8, 8), (6, 6), (3, 3), (1, 1), (0, 0, 0, 0))
        ('SAME', 'VALID')
        >>> mode_of((8, 8), (4, 4), (3, 3), (2, 2), (1, 1, 1, 1)) is None
        True
    """
    if not any(pads):
        return "VALID"
    for axis in (0, 1):
        total = max(0, (result[axis] - 1) * strides[axis] + kernel[axis] - source[axis])
        if result[axis] != -(-source[axis] // strides[axis]) or pads[axis] != total // 2:
            return None
        # What the last kernel does not reach is no padding.
        if pads[axis + 2] < total - total // 2:
            return None
    return "SAME"


def padded(
    builder: TfliteBuilder, source: Int8Codes, before: Sequence[int], after: Sequence[int], code: int
) -> Int8Codes:
    """Maps with a rim of a code."""
    height, width = source.shape[2:]
    shape = (*source.shape[:2], height + before[0] + after[0], width + before[1] + after[1])
    output = builder.tensor("padded", stored_shape(shape), "INT8", step=source.step, zero=source.zero)
    widths = builder.numbers([[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]])
    if code == source.zero:
        builder.operator("PAD", (source.tensor, widths), output, builder.schema.PadOptionsT())
    else:
        filling = builder.codes(code, source.step, source.zero)
        builder.operator("PADV2", (source.tensor, widths, filling), output, builder.schema.PadV2OptionsT())
    return replace(source, tensor=output, shape=shape)
