"""Transposed convolutions: what leaves the maps on either side is cut off, and groups are computed alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int

from evo_qnas.networks.export.common.arguments import pair
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import sliced
from evo_qnas.networks.export.tflite.operations import joined
from evo_qnas.networks.export.tflite.values import Pending, Tensor, channels_last
from evo_qnas.networks.export.tflite.weights import stored_weights
from evo_qnas.networks.quantization.quantizers import QuantizedLayer

_MAPS = channels_last(4)


def transposed_convolution(
    builder: TfliteBuilder,
    layer: QuantizedLayer,
    source: Tensor,
    shape: Sequence[int],
    *,
    finish: Callable[[TfliteBuilder, Tensor], Tensor] | None,
) -> Pending:
    """A transposed convolution of maps (channels last) whose result waits for its quantizer.

    Args:
        builder: of the file.
        layer: with weights (outputs, inputs of a group, sizes).
        source: its input.
        shape: of its output.
        finish: what becomes of the result.
    """
    axes = layer.weight.ndim - 2
    settings: list[Any] = [*layer.arguments, *[1, 0, 0, 1, 1][len(layer.arguments) :]]
    stride, padding, _more, groups, dilation = settings
    strides, pads, gaps = (_two(value, axes, first) for value, first in ((stride, 1), (padding, 0), (dilation, 1)))
    codes = layer.weight_codes().numpy(force=True)
    codes = _spread_out(codes[:, :, None, :] if axes == 1 else codes, gaps)
    wide = tuple(
        max((source.shape[2 + a] - 1) * strides[a] + codes.shape[2 + a], shape[2 + a] + pads[a]) for a in (0, 1)
    )
    options = builder.schema.TransposeConvOptionsT(
        padding=builder.schema.Padding.VALID, strideH=strides[0], strideW=strides[1]
    )
    inputs, outputs = codes.shape[1], codes.shape[0] // groups
    parts: list[Tensor | Pending] = []
    for group in range(groups):
        taken = sliced(builder, source, 1, group * inputs, (group + 1) * inputs)
        own = codes[group * outputs : (group + 1) * outputs].transpose(0, 2, 3, 1)
        part = slice(group * outputs, (group + 1) * outputs) if groups > 1 else None
        read = stored_weights(builder, layer, taken, own, axis=0, part=part)
        size = (source.shape[0], outputs, *wide)
        target = builder.numbers([size[axis] for axis in _MAPS])
        tensors = (target, read[1], read[0], read[2])
        parts.append(Pending(code="TRANSPOSE_CONV", inputs=tensors, shape=size, order=_MAPS, options=options))

    def cut(builder: TfliteBuilder, made: Tensor) -> Tensor:
        for a in (0, 1):
            made = sliced(builder, made, 2 + a, pads[a], pads[a] + shape[2 + a])
        return made if finish is None else finish(builder, made)

    whole = parts[0] if len(parts) == 1 else joined(builder, parts, 1)
    assert isinstance(whole, Pending)
    return replace(whole, finish=cut)


def _two(value: Any, axes: int, first: int) -> list[int]:
    """Numbers for two axes."""
    return [first, pair(value)[0]] if axes == 1 else pair(value)


def _spread_out(codes: Int[np.ndarray, "o i h w"], gaps: Sequence[int]) -> Int[np.ndarray, "o i height width"]:
    """Kernels with zeros in their gaps."""
    if list(gaps) == [1, 1]:
        return codes
    sizes = [gap * (size - 1) + 1 for gap, size in zip(gaps, codes.shape[2:], strict=True)]
    made = np.zeros((*codes.shape[:2], *sizes), dtype=codes.dtype)
    made[:, :, :: gaps[0], :: gaps[1]] = codes
    return made
