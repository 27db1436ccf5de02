"""Arguments, shapes and results of nodes of a captured graph, as runtimes ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import limits_of
from evo_qnas.networks.quantization.quantize import QuantizedNetwork


def require_calibrated(network: QuantizedNetwork) -> None:
    """Refusal of a network without steps.

    Raises:
        NetworkError: the network is not calibrated.
    """
    if not all(module.active for module in (*network.layers, *network.quantizers)):
        raise NetworkError("the network is not calibrated: call calibrate or restore before exporting it")


def not_quantized(node: fx.Node) -> NetworkError:
    """The error for a call of a module that is neither a quantizer nor a layer behind one."""
    return NetworkError(f"{node.name} is neither a quantizer nor a layer with a quantized input")


def gives_tensor(node: fx.Node) -> bool:
    """True where a node is a function that gives a tensor, or several."""
    return node.op == "call_function" and isinstance(node.meta.get("val"), (torch.Tensor, tuple, list))


def result_of(node: fx.Node) -> fx.Node:
    """The node whose value the last node of a graph gives."""
    result: Any = node.args[0]
    first: fx.Node = result[0] if isinstance(result, (tuple, list)) else result
    return first


def static_shape(node: fx.Node) -> tuple[int, ...]:
    """A node's output shape with -1 for the batch."""
    return tuple(size if isinstance(size, int) else -1 for size in node.meta["val"].shape)


def pair(value: Any) -> list[int]:
    """Two numbers from one or two.

    Example:
        >>> pair(3), pair((1, 2))
        ([3, 3], [1, 2])
    """
    values = [int(v) for v in value] if isinstance(value, (list, tuple)) else [int(value)]
    return values if len(values) == 2 else values * 2


def narrowed_limits(node: fx.Node, low: float, high: float) -> tuple[float, float]:
    """Limits behind a ReLU-like node of values that were within low..high before it."""
    least, most = limits_of(node)
    return min(max(low, least), most), min(max(high, least), most)


def convolution_arguments(
    weight: Sequence[int], arguments: Sequence[Any]
) -> tuple[list[int], list[int], list[int], int]:
    """Stride, padding (all beginnings, then all endings), dilation and groups of a convolution.

    Args:
        weight: shape of its weights.
        arguments: those of the operation behind input, weight and bias.
    """
    axes = len(weight) - 2
    settings: list[Any] = [*arguments, *[1, 0, 1, 1][len(arguments) :]]
    stride, padding, dilation, groups = settings
    strides, dilations = (each_axis(v, axes) for v in (stride, dilation))
    if padding == "same":
        totals = [d * (size - 1) for d, size in zip(dilations, weight[2:], strict=True)]
        pads = [total // 2 for total in totals] + [total - total // 2 for total in totals]
    elif isinstance(padding, str):
        pads = [0] * (2 * axes)
    else:
        pads = each_axis(padding, axes) * 2
    return strides, pads, dilations, int(groups)


def each_axis(value: Any, axes: int) -> list[int]:
    """A number for each axis, from one for all or one for each."""
    given = [int(each) for each in value] if isinstance(value, (list, tuple)) else [int(value)]
    return given * axes if len(given) == 1 else given[:axes]


def mean_axes(axes: Sequence[int] | None, rank: int) -> list[int]:
    """The axes of a mean in order, none negative.

    Example:
        >>> mean_axes([-1, 2], 4), mean_axes(None, 2)
        ([2, 3], [0, 1])
    """
    return sorted(int(axis) % rank for axis in (axes if axes is not None else range(rank)))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The window of a pooling, a number for each axis of the maps."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def beyond(self, before: Sequence[int], after: Sequence[int]) -> list[int]:
        """How far the last window of each axis reaches behind the padding, as it may in ceil mode.

        Args:
            before: size of the maps.
            after: number of windows.
        """
        places = range(len(self.kernel))
        reach = [(after[i] - 1) * self.stride[i] + self.dilation[i] * (self.kernel[i] - 1) + 1 for i in places]
        return [max(0, reach[i] - before[i] - 2 * self.padding[i]) for i in places]


def window(node: fx.Node, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Window:
    """The window of a pooling node, whose arguments are numbers or lists of them; no stride is that of the kernel."""
    axes = len(node.args[0].meta["val"].shape) - 2  # type: ignore[union-attr]  # a pooling takes a tensor

    def numbers(value: Any) -> tuple[int, ...]:
        values = [int(v) for v in value] if isinstance(value, (list, tuple)) else [int(value)]
        return tuple(values if len(values) == axes else values * axes)

    return Window(
        kernel=numbers(kernel), stride=numbers(stride or kernel), padding=numbers(padding), dilation=numbers(dilation)
    )


def adaptive_kernel(node: fx.Node, source: Sequence[int], result: Sequence[int]) -> list[int]:
    """The window of an adaptive mean from one map size to another.

    Raises:
        NetworkError: the windows are not all of one size.
    """
    if any(size % target for size, target in zip(source, result, strict=True)):
        raise NetworkError(f"{node.name} averages {source} to {result}: only whole shares can be exported")
    return [size // target for size, target in zip(source, result, strict=True)]
