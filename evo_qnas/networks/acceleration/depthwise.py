"""Depthwise convolution whose gradients do not fall back to slow kernels on a CPU.

oneDNN has fast forward kernels for depthwise maps of any kernel and dilation, but its gradients of dilated ones, and of
the weights of kernels above 3 x 3, take ten to twenty times as long as the forward pass. Both are forward-like sums in
disguise: the gradient of the input is a convolution with the mirrored kernel, a dilated convolution is a plain one on
each of the maps that take every d-th row and column, and a large kernel is several of 3 x 3.
"""

import itertools
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float
from torch.autograd import Function
from torch.nn import functional

from evo_qnas.networks.acceleration.autograd import applied

_BACKWARD = torch.ops.aten.convolution_backward.default
_LAST = torch.channels_last


@final
class Geometry(NamedTuple):
    """Settings of a convolution, the same for rows and columns."""

    stride: int
    padding: int
    dilation: int
    groups: int


def geometry_of(operation: object, arguments: tuple[object, ...]) -> Geometry | None:
    """Settings of a two-dimensional convolution that has the same for rows and columns, else None."""
    if operation is not torch.ops.aten.conv2d.default:
        return None
    settings: list[int] = []
    for argument, default in itertools.zip_longest(arguments, ([1, 1], [0, 0], [1, 1], 1)):
        value = default if argument is None else argument
        pair = value if isinstance(value, list) else [value]
        if len(set(pair)) != 1 or not isinstance(pair[0], int):
            return None
        settings.append(pair[0])
    return Geometry(*settings)


def depthwise(
    x: Float[torch.Tensor, "n c h w"],
    weight: Float[torch.Tensor, "c 1 k k"],
    bias: Float[torch.Tensor, " c"] | None,
    geometry: Geometry,
) -> Float[torch.Tensor, "n c a b"]:
    """The output of `conv2d`; ask `fits` first."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    return applied(_Depthwise, x, weight, bias, geometry)


def fits(x: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> bool:
    """True where `depthwise` can replace this convolution and is worth it: gradients on a CPU, odd square kernel."""
    kernel = weight.shape[-1]
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and weight.ndim == 4
        and weight.shape[1] == 1
        and geometry.groups == weight.shape[0] == x.shape[1] > 1
        and weight.shape[2] == kernel
        and kernel % 2 == 1
        and geometry.padding == geometry.dilation * (kernel // 2)
        and not torch.compiler.is_compiling()
    )


@final
class _Depthwise(Function):
    """`depthwise`."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, geometry: Geometry
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return functional.conv2d(x, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        x, weight = ctx.saved_tensors
        gradient = upstream[0].contiguous(memory_format=_LAST)
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _of_input(gradient, x, weight, ctx.geometry)
        if ctx.needs_input_grad[1]:
            of_weight = _of_weight(gradient, x, weight, ctx.geometry)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum(dim=(0, 2, 3))
        return of_x, of_weight, of_bias, None


def _of_input(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    if geometry.stride > 1 and x.dtype is torch.float32:
        result: torch.Tensor = _aten(gradient, x, weight, geometry, [True, False, False])[0]
        return result
    if geometry.stride > 1:
        # In bfloat16 a convolution of the gradient with zeros between its values is twenty times as fast.
        wide = torch.empty_like(x, memory_format=_LAST).zero_()
        wide[:, :, :: geometry.stride, :: geometry.stride] = gradient
        gradient = wide
    return functional.conv2d(gradient, weight.flip((2, 3)), None, *geometry._replace(stride=1))


def _of_weight(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    kernel, dilation, stride = weight.shape[-1], geometry.dilation, geometry.stride
    if stride == 1 and dilation > 1:
        x, gradient = (_by_phase(part, dilation) for part in (x, gradient))
        geometry = geometry._replace(padding=kernel // 2, dilation=1)
    if kernel <= 3 or geometry.dilation > 1:
        result: torch.Tensor = _aten(gradient, x, weight, geometry, [False, True, False])[1]
        return result
    result, part = torch.empty_like(weight), weight[:, :, :3, :3].contiguous()
    edge, reach = kernel // 2, [(count - 1) * stride + 3 for count in gradient.shape[2:]]
    padded = functional.pad(x, (edge, edge, edge, edge))
    geometry = geometry._replace(padding=0)
    for row in range(0, kernel - 2, 2):
        for column in range(0, kernel - 2, 2):
            moved = padded[:, :, row : row + reach[0], column : column + reach[1]]
            window = _aten(gradient, moved, part, geometry, [False, True, False])[1]
            result[:, :, row : row + 3, column : column + 3] = window
    return result


def _aten(gradient: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, geometry: Geometry, needed: list[bool]) -> Any:
    both = [[value, value] for value in geometry[:3]]
    return _BACKWARD(gradient, x, weight, None, *both, False, [0, 0], geometry.groups, needed)


def _by_phase(x: Float[torch.Tensor, "n c h w"], dilation: int) -> Float[torch.Tensor, "m c a b"]:
    """The `dilation**2` maps of every `dilation`-th row and column, zeros added at the ends, as further images."""
    n, c, height, width = x.shape
    rows, columns = -(-height // dilation), -(-width // dilation)
    wide = x.new_zeros(n, dilation, dilation, rows, columns, c)
    for row in range(min(dilation, height)):
        for column in range(min(dilation, width)):
            part = x[:, :, row::dilation, column::dilation].permute(0, 2, 3, 1)
            wide[:, row, column, : part.shape[1], : part.shape[2]] = part
    return wide.view(-1, rows, columns, c).permute(0, 3, 1, 2)
