"""Convolutions by the fastest way that is known here: what torch gives, up to the order of its sums."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from evo_qnas.networks.depthwise import Geometry, depthwise, fits

_LAST = torch.channels_last


def convolve(
    x: Float[torch.Tensor, "n c h w"],
    weight: Float[torch.Tensor, "out _ k l"],
    bias: Float[torch.Tensor, " out"] | None,
    geometry: Geometry,
) -> Float[torch.Tensor, "n out a b"]:
    """What `conv2d` gives; faster where gradients are wanted on a CPU and the layer is depthwise or 1 x 1."""
    if fits(x, weight, geometry):
        return depthwise(x, weight, bias, geometry)
    if _is_product(x, weight, geometry):
        return functional.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
    return functional.conv2d(x, weight, bias, *geometry)


def _is_product(x: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> bool:
    """Whether a convolution is one product of matrices over all places, on maps laid out channel by channel.

    torch takes one product per image for it, which costs a tenth to a third more.
    """
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and tuple(weight.shape[2:]) == (1, 1)
        and geometry == Geometry(1, 0, geometry.dilation, 1)
        and x.is_contiguous(memory_format=_LAST)
        and not torch.compiler.is_compiling()
    )


@contextmanager
def fast_convolutions(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, the convolutions of `modules` that have one setting for rows and columns compute by `convolve`."""
    changed = []
    for layer in (layer for module in modules for layer in module.modules()):
        if type(layer) is not nn.Conv2d or "forward" in vars(layer):
            continue
        geometry = _geometry_of(layer)
        if geometry is not None:
            layer.forward = _Fast(layer, geometry)  # type: ignore[method-assign, assignment]  # the layer's own again below
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward


@final
@dataclass(frozen=True, slots=True)
class _Fast:
    """What stands for a layer's own `forward`."""

    layer: nn.Conv2d
    geometry: Geometry

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return convolve(x, self.layer.weight, self.layer.bias, self.geometry)


def _geometry_of(layer: nn.Conv2d) -> Geometry | None:
    if layer.padding_mode != "zeros":
        return None
    pairs = [(value if isinstance(value, tuple) else ()) for value in (layer.stride, layer.padding, layer.dilation)]
    if any(len(set(pair)) != 1 for pair in pairs):
        return None
    stride, padding, dilation = (int(pair[0]) for pair in pairs)
    return Geometry(stride, padding, dilation, layer.groups)
