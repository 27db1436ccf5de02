"""Convolutions by the fastest way that is known here, equal to those of torch up to the order of their sums."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from evo_qnas.networks.acceleration.depthwise import Geometry, depthwise, fits
from evo_qnas.networks.models.deeplab import AtrousPyramid

_LAST = torch.channels_last


def convolve(
    x: Float[torch.Tensor, "n c h w"],
    weight: Float[torch.Tensor, "out _ k l"],
    bias: Float[torch.Tensor, " out"] | None,
    geometry: Geometry,
) -> Float[torch.Tensor, "n out a b"]:
    """The output of `conv2d`; faster where gradients are needed on a CPU and the layer is depthwise or 1 x 1."""
    if fits(x, weight, geometry):
        return depthwise(x, weight, bias, geometry)
    if _is_product(x, weight, geometry):
        return functional.linear(x.permute(0, 2, 3, 1), weight[:, :, 0, 0], bias).permute(0, 3, 1, 2)
    return functional.conv2d(x, weight, bias, *geometry)


def _is_product(x: torch.Tensor, weight: torch.Tensor, geometry: Geometry) -> bool:
    """True for a convolution that is one product of matrices, on maps laid out channel by channel.

    torch takes one product per image for it, which costs a tenth to a third more.
    """
    return tuple(weight.shape[2:]) == (1, 1) and geometry == Geometry(1, 0, geometry.dilation, 1) and _in_rows(x)


def _in_rows(x: torch.Tensor) -> bool:
    """True where gradients are needed on a CPU of maps laid out channel by channel."""
    return (
        x.device.type == "cpu"
        and torch.is_grad_enabled()
        and x.is_contiguous(memory_format=_LAST)
        and not torch.compiler.is_compiling()
    )


@contextmanager
def fast_convolutions(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, the convolutions of `modules` that have one setting for rows and columns compute by `convolve`.

    Atrous pyramids do not join the maps of their branches before they project them.
    """
    changed: list[nn.Module] = []
    for layer in (layer for module in modules for layer in module.modules()):
        fast = None if "forward" in vars(layer) else _fast(layer)
        if fast is not None:
            layer.forward = fast  # its own again below
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward


def _fast(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """A function that computes the same faster, None where there is none."""
    if isinstance(layer, AtrousPyramid):
        projection = layer.project[0]
        if type(projection) is nn.Conv2d and projection.kernel_size == (1, 1):
            return _FastPyramid(layer, projection) if _geometry_of(projection) == Geometry(1, 0, 1, 1) else None
    elif type(layer) is nn.Conv2d:
        geometry = _geometry_of(layer)
        return None if geometry is None else _Fast(layer, geometry)
    return None


@final
@dataclass(frozen=True, slots=True)
class _Fast:
    """Replacement of a layer's own `forward`."""

    layer: nn.Conv2d
    geometry: Geometry

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return convolve(x, self.layer.weight, self.layer.bias, self.geometry)


@final
@dataclass(frozen=True, slots=True)
class _FastPyramid:
    """Replacement of a pyramid's own `forward`: the projection is a sum of products, one for each branch.

    Joined, the maps would be copied, and in another layout, since the map's mean is spread over all positions: a sixth
    of a step of DeepLabV3's pyramid. The mean's share of the projection is the same everywhere, and computed once.
    """

    pyramid: AtrousPyramid
    projection: nn.Conv2d

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        if not _in_rows(x):
            return AtrousPyramid.forward(self.pyramid, x)
        branches, mean = self.pyramid.branch_maps(x)
        shares = self.projection.weight[:, :, 0, 0].split([part.shape[1] for part in (*branches, mean)], dim=1)
        rows = [part.permute(0, 2, 3, 1).flatten(0, 2) for part in branches]
        total = functional.linear(rows[0], shares[0])
        for part, share in zip(rows[1:], shares[1:-1], strict=True):
            total = torch.addmm(total, part, share.t())
        everywhere = functional.linear(mean.flatten(1), shares[-1], self.projection.bias)
        joined = total.unflatten(0, (len(x), *x.shape[2:])) + everywhere[:, None, None]
        projected: torch.Tensor = self.pyramid.project[1:](joined.permute(0, 3, 1, 2))
        return projected


def _geometry_of(layer: nn.Conv2d) -> Geometry | None:
    if layer.padding_mode != "zeros":
        return None
    pairs = [(value if isinstance(value, tuple) else ()) for value in (layer.stride, layer.padding, layer.dilation)]
    if any(len(set(pair)) != 1 for pair in pairs):
        return None
    stride, padding, dilation = (int(pair[0]) for pair in pairs)
    return Geometry(stride, padding, dilation, layer.groups)
