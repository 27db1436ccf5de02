"""Rounding to integers times a scale, with the gradients of learned scales (step sizes in the literature).

The aten operators of the same name visit one value after another on a CPU, and their gradients lose the memory layout
of maps. These go through a tensor in pieces that stay in the cache, with vector instructions, and keep its layout.

Source: Esser et al. 2020, Learned Step Size Quantization (LSQ), equations 1-3. A value rounded to the last code counts
as inside its range; the gradient is that of the logarithm of the scale.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch.autograd import Function

from evo_qnas.networks.acceleration.autograd import applied

# Values of a piece: three float32 pieces (1.5 MB) fit the second-level cache of one core. Chosen, not measured.
_PIECE = 131_072
# The largest float32 below 2**31: clamping to 2**31 - 1 would round up and overflow.
INT32 = 2**31 - 128


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRange:
    """The codes a value may take, `first..last`, after it was cut to `low..high`."""

    first: int
    last: int
    low: float = -math.inf
    high: float = math.inf


@final
class RoundActivations(Function):
    """Values cut to limits and rounded to integers times one scale."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[torch.Tensor, "*shape"],
        theta: Float[torch.Tensor, "1"],
        scale: Float[torch.Tensor, "1"],
        codes: CodeRange,
    ) -> Float[torch.Tensor, "*shape"]:
        """Same shape and memory layout as `x`; `theta` is the logarithm with which `scale` moves."""
        factor = float(scale)
        # In float32, as the aten operator does.
        inverse = float(torch.reciprocal(torch.tensor(factor)))
        first, last = (
            float(torch.round(torch.tensor(limit) * inverse).clamp(codes.first, codes.last))
            for limit in (codes.low, codes.high)
        )
        x = _dense(x)
        y = torch.empty_like(x)
        for inputs, outputs in zip(_flat(x).split(_PIECE), _flat(y).split(_PIECE), strict=True):
            torch.mul(inputs, inverse, out=outputs).round_().clamp_(first, last).mul_(factor)
        ctx.save_for_backward(x, y)
        ctx.scale, ctx.codes = factor, codes
        return y

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        """Gradients of `x` and `theta`."""
        x, y = ctx.saved_tensors
        codes: CodeRange = ctx.codes
        least, most = ctx.scale * (codes.first - 0.5), ctx.scale * (codes.last + 0.5)
        ends = max(least, codes.low), min(most, codes.high)
        gradient = _like(upstream[0], x)
        of_x = torch.empty_like(x)
        slope = 0.0
        pieces = zip(*(_flat(part).split(_PIECE) for part in (gradient, x, y, of_x)), strict=True)
        for g, inputs, rounded, out in pieces:
            torch.ops.aten.hardtanh_backward.grad_input(g, inputs, *ends, grad_input=out)
            slope += float(torch.dot(g, rounded)) - float(torch.dot(out, inputs))
            # Values that the limits cut, but not the range of codes, are rounded as well.
            if codes.high < most:
                below = float(np.nextafter(np.float32(codes.high), np.float32(-math.inf)))
                slope -= codes.high * float(torch.ops.aten.threshold_backward(g, inputs, below).sum())
            if least < codes.low != 0.0:
                slope -= codes.low * float(g.sum() - torch.ops.aten.threshold_backward(g, inputs, codes.low).sum())
        return of_x, torch.full((1,), slope), None, None


@final
class RoundWeights(Function):
    """Weights rounded to integers times one scale per output channel, or one scale."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Float[torch.Tensor, "out *shape"],
        theta: Float[torch.Tensor, "*channels"],
        scale: Float[torch.Tensor, "*channels"],
        codes: CodeRange,
    ) -> Float[torch.Tensor, "out *shape"]:
        """Same shape and memory layout as `weight`; `theta` are the logarithms with which the scales move."""
        rows = by_output(scale, weight.ndim)
        ratio = weight * torch.reciprocal(rows)
        rounded = torch.round(ratio).clamp_(codes.first, codes.last).mul_(rows)
        ctx.save_for_backward(weight, rounded, ratio)
        ctx.codes, ctx.of_channels = codes, theta.ndim > 0
        return rounded

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        """Gradients of `weight` and `theta`."""
        weight, rounded, ratio = ctx.saved_tensors
        gradient = upstream[0]
        ends = ctx.codes.first - 0.5, ctx.codes.last + 0.5
        of_weight = torch.ops.aten.hardtanh_backward(gradient, ratio, *ends)
        slope = (gradient * rounded).sub_(of_weight * weight).flatten(1).sum(dim=1)
        return of_weight, slope if ctx.of_channels else slope.sum(), None, None


@final
class RoundBias(Function):
    """A bias rounded to 32-bit integers times its scale; gradients pass straight through."""

    @staticmethod
    def forward(
        ctx: Any, bias: Float[torch.Tensor, " out"], scale: Float[torch.Tensor, "*outputs"]
    ) -> Float[torch.Tensor, " out"]:
        """(out,) float32."""
        return (bias / scale).round_().clamp_(-INT32, INT32).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        """The gradient as it is."""
        return upstream[0], None


def round_affine(
    x: Float[torch.Tensor, "*shape"],
    theta: Float[torch.Tensor, "1"],
    scale: Float[torch.Tensor, "1"],
    zero_point: Float[torch.Tensor, "1"],
    *,
    code_range: tuple[int, int],
    limits: tuple[float, float],
) -> Float[torch.Tensor, "*shape"]:
    """`(code - zero_point) * scale` for the nearest code of each value, cut to `limits`.

    Args:
        x: values.
        theta: logarithm with which `scale` moves; gets its gradient on a CPU.
        scale: one scale, a differentiable function of `theta`.
        zero_point: code of 0.
        code_range: smallest and largest code.
        limits: what the values are cut to; cutting twice changes nothing.
    """
    first, last = code_range
    if x.device.type == "cpu":
        zero = int(zero_point)
        codes = CodeRange(first=first - zero, last=last - zero, low=limits[0], high=limits[1])
        return applied(RoundActivations, x, theta, scale.detach(), codes)
    if limits != (-math.inf, math.inf):
        x = torch.clamp(x, *limits)
    # Elsewhere the fused operator, which needs no number on the host.
    fused: torch.Tensor = torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero_point, first, last, 1.0)
    return fused


def by_output(channels: Shaped[torch.Tensor, "*channels"], rank: int) -> Shaped[torch.Tensor, "*ones"]:
    """A value per output channel, or one value, as it multiplies weights of `rank` axes."""
    return channels.view((-1,) + (1,) * (rank - 1))


def _dense(x: torch.Tensor) -> torch.Tensor:
    """`x`, copied where its values do not lie one behind the other."""
    if x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)):
        return x
    return x.contiguous()


def _like(x: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """`x` in the memory layout of `model`."""
    return x if x.stride() == model.stride() else torch.empty_like(model).copy_(x)


def _flat(x: torch.Tensor) -> Float[torch.Tensor, " n"]:
    """All values in the order of memory, as a view."""
    return x.as_strided((x.numel(),), (1,), x.storage_offset())
