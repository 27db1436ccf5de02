"""Quantizers: the codes of what waits for them, and of floats that were codes before."""

from dataclasses import replace
from typing import Any

from evo_qnas.networks.export.common.codes import code_limits
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import placed
from evo_qnas.networks.export.tflite.operations import requantized
from evo_qnas.networks.export.tflite.values import Constant, Pending, Shape, Tensor, offset_of
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


def quantized(builder: TfliteBuilder, quantizer: ActivationQuantizer, source: "Tensor | Constant | Pending") -> Tensor:
    """The codes of the operator that was pending, and of one more that limits them where it cannot."""
    waiting = source if isinstance(source, Pending) else requantized(placed(builder, source))
    low, high = code_limits(quantizer, waiting.low, waiting.high)
    made = _codes(builder, quantizer, waiting, offset_of(high))
    least = low + made.offset
    if waiting.fuses and least == made.zero > -128:
        waiting.options.fusedActivationFunction = builder.schema.ActivationFunctionType.RELU
        least = -128
    _emit(builder, waiting, made)
    if least != -128:
        limited = _codes(builder, quantizer, waiting, made.offset)
        code = builder.codes(least, float(made.step or 0.0), made.zero)
        options = builder.schema.MaximumMinimumOptionsT()
        builder.operator("MAXIMUM", (made.tensor, code), limited.tensor, options)
        made = limited
    return made if waiting.finish is None else waiting.finish(builder, made)


def _codes(builder: TfliteBuilder, quantizer: ActivationQuantizer, like: Pending, offset: int) -> Tensor:
    """A new tensor for a quantizer's codes."""
    return _tensor(builder, quantizer, like.shape, like.order, offset)


def _tensor(builder: TfliteBuilder, quantizer: ActivationQuantizer, shape: Shape, order: Shape, offset: int) -> Tensor:
    made = Tensor(tensor=-1, shape=shape, order=order, quantizer=quantizer, offset=offset)
    return replace(made, tensor=builder.tensor(quantizer.name, made.stored, "INT8", step=made.step, zero=made.zero))


def _emit(builder: TfliteBuilder, waiting: Pending, made: Tensor) -> None:
    """Adds the operator, with parts of a concatenation that have the step and zero point of the whole."""
    inputs = [_part(builder, part, made).tensor for part in waiting.parts] or waiting.inputs
    builder.operator(waiting.code, inputs, made.tensor, waiting.options)


def _part(builder: TfliteBuilder, part: "Tensor | Pending", whole: Tensor) -> Tensor:
    if isinstance(part, Tensor) and (part.step, part.zero) == (whole.step, whole.zero):
        return part
    quantizer: Any = whole.quantizer
    made = _tensor(builder, quantizer, part.shape, part.order, whole.offset)
    if isinstance(part, Pending):
        _emit(builder, part, made)
        return made
    builder.operator("QUANTIZE", (part.tensor,), made.tensor)
    return made


def recoded(builder: TfliteBuilder, value: Any, source: Tensor) -> Any:
    """Floats that are nothing but floats of a tensor's codes, as codes again; other numbers as they are."""
    if isinstance(value, (list, tuple)):
        return [recoded(builder, part, source) for part in value]
    if not isinstance(value, (Tensor, Constant)) or value.kind != "FLOAT32":
        return value
    floats, quantizer = placed(builder, value), source.quantizer
    if quantizer is None:
        return floats
    made = _tensor(builder, quantizer, floats.shape, floats.order, source.offset)
    builder.operator("QUANTIZE", (floats.tensor,), made.tensor)
    return made
