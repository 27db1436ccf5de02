"""Weights of layers as tensors of the file."""

from math import prod

import numpy as np
from jaxtyping import Int

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.moves import gathered, placed, reshaped
from evo_qnas.networks.export.tflite.numbers import cast, mul
from evo_qnas.networks.export.tflite.values import Constant, Tensor, identity
from evo_qnas.networks.quantization.quantizers import QuantizedLayer


def stored_weights(
    builder: TfliteBuilder,
    layer: QuantizedLayer,
    source: Tensor,
    codes: Int[np.ndarray, "..."],
    *,
    axis: int,
    part: slice | None = None,
) -> tuple[int, int, int]:
    """Tensors that a layer reads: activations, weights, bias (zeros where there is none: old readers ask for one).

    Weights of any bits are int8: the format has 4-bit weights, but XNNPACK's convolutions read none. A layer that is
    called several times is stored once.

    Args:
        builder: of the file.
        layer: with the weights.
        source: its input.
        codes: the weights in the order of the operator.
        axis: of the output channels in them.
        part: of the output channels, where an operator computes some alone.

    Raises:
        NetworkError: the weights have zero points.
    """
    if layer.scheme.has_weight_zero_points:
        raise NetworkError(f"the weights of {layer.name} have zero points, TFLite knows none: export it as ONNX")
    suffix = "" if part is None else f".{part.start}"
    name, known = f"{layer.owner.name}.codes{suffix}", f"{layer.name}.bias{suffix}"
    part = slice(None) if part is None else part
    steps = layer.scale().numpy(force=True)
    steps = steps[part] if steps.ndim else steps
    if name not in builder.named:
        content = np.ascontiguousarray(codes.astype(np.int8)).tobytes()
        builder.named[name] = builder.tensor(name, codes.shape, "INT8", step=steps, axis=axis, content=content)
    if known not in builder.named:
        stored = layer.bias_codes()
        nothing = np.zeros(layer.channels, dtype=np.int32)
        bias = (nothing if stored is None else stored.numpy(force=True).astype(np.int32))[part]
        step = np.float32(source.step or 0.0) * steps
        builder.named[known] = builder.tensor(known, bias.shape, "INT32", step=step, content=bias.tobytes())
    return source.tensor, builder.named[name], builder.named[known]


def embedded(builder: TfliteBuilder, layer: QuantizedLayer, positions: Tensor) -> Tensor:
    """Rows of a table of codes, as floats: a scale for each row, or one for all.

    Args:
        builder: of the file.
        layer: with the table.
        positions: of rows, in any shape.
    """
    codes, scales = layer.weight_codes().numpy(force=True).astype(np.int8), layer.scale().numpy(force=True)
    name = f"{layer.owner.name}.codes"
    if name not in builder.named:
        steps = scales.reshape(-1)
        builder.named[name] = builder.tensor(name, codes.shape, "INT8", step=steps, content=codes.tobytes())
    rank = len(codes.shape)
    table = Tensor(tensor=builder.named[name], shape=tuple(codes.shape), order=identity(rank))
    flat = reshaped(builder, positions, (prod(positions.shape),))
    rows = cast(builder, gathered(builder, table, 0, flat), "FLOAT32")
    if scales.size == 1:
        made = mul(builder, rows, float(scales.reshape(())))
    else:
        column = placed(builder, Constant(name=f"{layer.owner.name}.scale", array=scales.reshape(-1, 1)))
        made = mul(builder, rows, gathered(builder, column, 0, flat))
    return reshaped(builder, made, (*positions.shape, *codes.shape[1:]))
