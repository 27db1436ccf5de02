"""Rounding to integers times a step, with the gradients of learned step sizes.

The aten operators of the same name visit one value after another on a CPU, and their gradients lose the memory layout
of maps. These go through a tensor in pieces that stay in the cache, with vector instructions, and keep its layout.

Source: Esser et al. 2020, Learned Step Size Quantization (LSQ), equations 1-3. A value rounded to the last code counts
as inside its range; the gradient is that of the logarithm of the step.
"""

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch.autograd import Function

# Values of a piece: three float32 pieces fit the second-level cache of one core.
_PIECE = 131_072
# The largest float32 below 2**31: clamping to 2**31 - 1 would round up and overflow.
INT32 = 2**31 - 128


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The codes a value may take, `first..last`, after it was cut to `low..high`."""

    first: int
    last: int
    low: float = -math.inf
    high: float = math.inf


@final
class RoundActivations(Function):
    """Values cut to limits and rounded to integers times one step."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[torch.Tensor, "*shape"],
        theta: Float[torch.Tensor, "1"],
        base: Float[torch.Tensor, "1"],
        codes: Codes,
    ) -> Float[torch.Tensor, "*shape"]:
        """Same shape and memory layout as `x`; the step is `base * exp(theta)`."""
        step = float(base * torch.exp(theta))
        # In float32, as the aten operator does.
        inverse = float(torch.reciprocal(torch.tensor(step)))
        first, last = (
            float(torch.round(torch.tensor(limit) * inverse).clamp(codes.first, codes.last))
            for limit in (codes.low, codes.high)
        )
        x = _dense(x)
        y = torch.empty_like(x)
        for taken, given in zip(_flat(x).split(_PIECE), _flat(y).split(_PIECE), strict=True):
            torch.mul(taken, inverse, out=given).round_().clamp_(first, last).mul_(step)
        ctx.save_for_backward(x, y)
        ctx.step, ctx.codes = step, codes
        return y

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        """Gradients of `x` and `theta`."""
        x, y = ctx.saved_tensors
        codes: Codes = ctx.codes
        least, most = ctx.step * (codes.first - 0.5), ctx.step * (codes.last + 0.5)
        ends = max(least, codes.low), min(most, codes.high)
        gradient = _like(upstream[0], x)
        given = torch.empty_like(x)
        slope = 0.0
        pieces = zip(*(_flat(part).split(_PIECE) for part in (gradient, x, y, given)), strict=True)
        for g, taken, rounded, out in pieces:
            torch.ops.aten.hardtanh_backward.grad_input(g, taken, *ends, grad_input=out)
            slope += float(torch.dot(g, rounded)) - float(torch.dot(out, taken))
            # Values that the limits cut, but not the range of codes, are rounded as well.
            if codes.high < most:
                below = float(np.nextafter(np.float32(codes.high), np.float32(-math.inf)))
                slope -= codes.high * float(torch.ops.aten.threshold_backward(g, taken, below).sum())
            if least < codes.low != 0.0:
                slope -= codes.low * float(g.sum() - torch.ops.aten.threshold_backward(g, taken, codes.low).sum())
        return given, torch.full((1,), slope), None, None


@final
class RoundWeights(Function):
    """Weights rounded to integers times one step per output channel."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Float[torch.Tensor, "out *shape"],
        theta: Float[torch.Tensor, " out"],
        base: Float[torch.Tensor, " out"],
        codes: Codes,
    ) -> Float[torch.Tensor, "out *shape"]:
        """Same shape and memory layout as `weight`; the steps are `base * exp(theta)`."""
        step = (base * torch.exp(theta)).view((-1,) + (1,) * (weight.ndim - 1))
        ratio = weight * torch.reciprocal(step)
        rounded = torch.round(ratio).clamp_(codes.first, codes.last).mul_(step)
        ctx.save_for_backward(weight, rounded, ratio)
        ctx.codes = codes
        return rounded

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        """Gradients of `weight` and `theta`."""
        weight, rounded, ratio = ctx.saved_tensors
        gradient = upstream[0]
        ends = ctx.codes.first - 0.5, ctx.codes.last + 0.5
        given = torch.ops.aten.hardtanh_backward(gradient, ratio, *ends)
        slope = (gradient * rounded).sub_(given * weight)
        return given, slope.flatten(1).sum(dim=1), None, None


@final
class RoundBias(Function):
    """A bias rounded to 32-bit integers times a step per channel; gradients pass straight through."""

    @staticmethod
    def forward(
        ctx: Any, bias: Float[torch.Tensor, " out"], step: Float[torch.Tensor, " out"]
    ) -> Float[torch.Tensor, " out"]:
        """(out,) float32."""
        return (bias / step).round_().clamp_(-INT32, INT32).mul_(step)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Any:
        """The gradient as it is."""
        return upstream[0], None


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
