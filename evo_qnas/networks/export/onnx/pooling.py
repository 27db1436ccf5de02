"""Means of windows and maps at another size in ONNX, between two quantizers."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.graph import ATEN, source_of
from evo_qnas.networks.export.common.arguments import static_shape, window
from evo_qnas.networks.export.onnx.builder import GraphBuilder
from evo_qnas.networks.export.onnx.expressions import Operation, apply, formula, integers
from evo_qnas.networks.export.onnx.layout import resize
from evo_qnas.networks.export.onnx.norms import axes_of
from evo_qnas.networks.export.onnx.values import Floats


def _mean(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    source = arguments[0]
    axes, keep = axes_of(node, arguments if node.target is ATEN.mean.dim else arguments[:1])
    rank = len(source_of(node).meta["val"].shape)
    if axes == list(range(2, rank)):
        # The integer kernel keeps the axes, so the codes lose them afterwards.
        return Floats(name=builder.node("GlobalAveragePool", source), shape=None if keep else static_shape(node))
    return Floats(name=builder.node("ReduceMean", source, integers(builder, axes), keepdims=int(keep)))


def _adaptive_mean(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    before, after = static_shape(source_of(node))[2:], static_shape(node)[2:]
    if all(size == 1 for size in after):
        return Floats(name=builder.node("GlobalAveragePool", arguments[0]))
    if not any(size % target for size, target in zip(before, after, strict=True)):
        kernel = [size // target for size, target in zip(before, after, strict=True)]
        return Floats(name=builder.node("AveragePool", arguments[0], kernel_shape=kernel, strides=kernel))
    return Floats(name=separable(builder, node, arguments[0], torch.nn.functional.adaptive_avg_pool1d))


def separable(builder: GraphBuilder, node: fx.Node, source: str, function: Any) -> str:
    """Sums along each axis of maps as products with a constant matrix, whose rows are what a function of torch weighs.

    Args:
        builder: of the graph.
        node: gives the sizes before and after.
        source: name of the maps.
        function: from (1, size, size) and a target size to (1, size, target).
    """
    before, after = static_shape(source_of(node))[2:], static_shape(node)[2:]
    for axis, (size, target) in enumerate(zip(before, after, strict=True)):
        if size == target:
            continue
        weights = function(torch.eye(size)[None], target)[0].numpy()
        if axis == len(before) - 1:
            source = builder.node("MatMul", source, builder.constant(weights, "float32"))
        else:
            source = builder.node("MatMul", builder.constant(weights.T, "float32"), source)
    return source


def _mean_pool(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    source, kernel, stride, padding, ceil, count_padding = arguments[:6]
    divisor = arguments[6] if len(arguments) > 6 else None
    before, after = static_shape(source_of(node))[2:], static_shape(node)[2:]
    shape = window(node, kernel, stride, padding)
    pads, counted = [*shape.padding, *shape.padding], bool(count_padding)
    if ceil:
        # Windows of a ceil mode that reach behind the padding count what is inside it alone.
        beyond = shape.beyond(before, after)
        if any(beyond):
            if any(shape.padding) and counted:
                source = _with_zeros(builder, source, shape.padding)
                pads = [0] * len(shape.padding) + beyond
            else:
                pads = [*shape.padding, *(own + more for own, more in zip(shape.padding, beyond, strict=True))]
            counted = False
    if divisor is not None:
        counted = True
    name = builder.node(
        "AveragePool",
        source,
        kernel_shape=list(shape.kernel),
        strides=list(shape.stride),
        pads=pads,
        ceil_mode=0,
        count_include_pad=int(counted),
    )
    if divisor is not None:
        name = apply(builder, "Mul", name, prod(shape.kernel) / float(divisor))
    return Floats(name=name)


def _with_zeros(builder: GraphBuilder, source: str, padding: Sequence[int]) -> str:
    """Maps with zeros around them."""
    widths = [0, 0, *padding, 0, 0, *padding]
    return builder.node("Pad", source, integers(builder, widths), builder.constant(0.0, "float32"), mode="constant")


# The coefficient with which torch interpolates.
_CUBIC = -0.75


def _linear(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    coordinates = "align_corners" if arguments[2] else "half_pixel"
    return Floats(name=resize(builder, arguments[0], node, mode="linear", coordinates=coordinates))


def _cubic(builder: GraphBuilder, node: fx.Node, arguments: Sequence[Any]) -> Floats:
    coordinates = "align_corners" if arguments[2] else "half_pixel"
    made = resize(builder, arguments[0], node, mode="cubic", coordinates=coordinates, cubic_coeff_a=_CUBIC)
    return Floats(name=made)


def _antialiased(builder: GraphBuilder, node: fx.Node, *arguments: Any) -> str:
    corners = bool(arguments[2])
    mode = "bicubic" if node.target is ATEN._upsample_bicubic2d_aa.vec else "bilinear"

    def interpolated(values: torch.Tensor, target: int) -> torch.Tensor:
        maps = values[:, :, None].expand(-1, -1, 2, -1)
        made = torch.nn.functional.interpolate(maps, size=(2, target), mode=mode, align_corners=corners, antialias=True)
        return made[:, :, 0]

    return separable(builder, node, arguments[0], interpolated)


POOLING: Mapping[Any, Operation] = {
    ATEN.mean.dim: _mean,
    ATEN.mean.default: _mean,
    ATEN.adaptive_avg_pool2d.default: _adaptive_mean,
    ATEN.adaptive_avg_pool1d.default: _adaptive_mean,
    ATEN.avg_pool2d.default: _mean_pool,
    ATEN.avg_pool1d.default: _mean_pool,
    ATEN.adaptive_avg_pool3d.default: _adaptive_mean,
    ATEN.avg_pool3d.default: _mean_pool,
    ATEN.upsample_bilinear2d.vec: _linear,
    ATEN.upsample_trilinear3d.vec: _linear,
    ATEN.upsample_linear1d.vec: _linear,
    ATEN.upsample_bicubic2d.vec: _cubic,
    ATEN._upsample_bilinear2d_aa.vec: formula(_antialiased),
    ATEN._upsample_bicubic2d_aa.vec: formula(_antialiased),
}
