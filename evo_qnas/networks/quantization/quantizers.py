"""Quantizers for weights, activations and biases: integers times scales, with learned step sizes.

Source: Esser et al. 2020, Learned Step Size Quantization (LSQ), equations 1-3, for the gradient of a step. We learn the
logarithm of a step's factor instead of the step, so that a learning rate moves small and large steps by the same share;
an absolute rate makes 4-bit weights beat 8-bit ones.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import nn

from evo_qnas.networks.acceleration.autograd import applied
from evo_qnas.networks.acceleration.convolutions import convolve
from evo_qnas.networks.acceleration.depthwise import geometry_of
from evo_qnas.networks.quantization.fake_quantize import INT32, Codes, RoundActivations, RoundBias, RoundWeights

MIN_BITS, MAX_BITS = 2, 8
_SEARCH_STEPS = 48
_BINS = 1024
_SAMPLE = 65_536


def weight_range(bits: int) -> tuple[int, int]:
    """Smallest and largest code of a weight, for example (-8, 7) at 4 bits."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def weight_scales(
    weight: Float[torch.Tensor, "out ..."], bits: int, importance: Float[torch.Tensor, "out inputs"] | None = None
) -> Float[torch.Tensor, " out"]:
    """Per output channel the step that leaves the least squared error, found on a grid; (out,) float32.

    Errors are weighted by the importance of their input channel, the same for all where None.

    The grid holds 48 shares from 0.3 to 1.25 of the step that just covers the largest magnitude; a channel of zeros
    counts as one that reaches 2**-15 of the layer's largest weight.
    """
    low, high = weight_range(bits)
    flat = weight.detach().flatten(1)
    largest = flat.abs().amax(dim=1)
    floor = float(largest.max()) * 2.0**-15
    cover = (largest / high).clamp_min(floor / high if floor > 0 else 1.0)
    share = torch.ones((), device=flat.device)
    if importance is not None:
        share = importance.view(*weight.shape[:2], *[1] * (weight.ndim - 2)).expand_as(weight).flatten(1)
    best, least = cover.clone(), torch.full_like(cover, torch.inf)
    for factor in torch.linspace(0.3, 1.25, _SEARCH_STEPS):
        scale = cover * factor
        codes = torch.clamp(torch.round(flat / scale[:, None]), low, high)
        error = ((codes * scale[:, None] - flat) ** 2 * share).sum(dim=1)
        better = error < least
        best, least = torch.where(better, scale, best), torch.where(better, error, least)
    return best


def activation_range(sample: Float[torch.Tensor, " n"], bits: int) -> tuple[float, int]:
    """Step and zero point with the least squared error on a sample of values; the range always holds 0.

    Lower and upper ends are tried at shares of the sample's own ends; errors come from a histogram of 1,024 bins.
    """
    low, high = min(0.0, float(sample.min())), max(0.0, float(sample.max()))
    if high - low <= 0.0:
        return 1.0, 0
    counts = torch.histc(sample, bins=_BINS, min=low, max=high)
    width = (high - low) / _BINS
    centres = low + width * (torch.arange(_BINS) + 0.5)
    shares = torch.linspace(0.2, 1.0, 17 if low < 0.0 < high else 65)
    lows = low * shares if low < 0.0 else torch.zeros(1)
    highs = high * shares if high > 0.0 else torch.zeros(1)
    pairs = torch.cartesian_prod(lows, highs)
    levels = 2**bits - 1
    scales = (pairs[:, 1] - pairs[:, 0]) / levels
    zeros = torch.clamp(torch.round(-pairs[:, 0] / scales), 0, levels)
    codes = torch.clamp(torch.round(centres / scales[:, None]) + zeros[:, None], 0, levels)
    errors = (((codes - zeros[:, None]) * scales[:, None] - centres) ** 2 * counts).sum(dim=1)
    best = int(errors.argmin())
    return float(scales[best]), int(zeros[best])


class Step(nn.Module):
    """A positive step size per channel or tensor, `base * exp(theta)` with learned `theta`, 0 at the start."""

    base: torch.Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("base", torch.ones(count))
        self.theta = nn.Parameter(torch.zeros(count))

    def set(self, scale: Float[torch.Tensor, " count"]) -> None:
        """Starts again from `scale`; from then on `self()` is exactly `scale` until it learns."""
        self.base = scale.detach().to(self.base).clone()
        self.theta.data.zero_()

    def forward(self) -> Float[torch.Tensor, " count"]:
        """The step sizes, float32."""
        return self.base * torch.exp(self.theta)


@final
class ActivationQuantizer(nn.Module):
    """Quantizes a tensor to `bits` unsigned bits with one step and zero point (affine).

    Attributes:
        name: name of the operation whose output this is.
        block: the block it belongs to, "" for the fixed part.
        bits: 2..8.
        limits: what a ReLU or ReLU6 before it cuts to; cutting twice changes nothing.
        active: quantize; otherwise values pass through.
        watching: keep a sample of the values for calibration.
    """

    zero_point: torch.Tensor

    def __init__(self, *, name: str, block: str, bits: int) -> None:
        super().__init__()
        self.name, self.block, self.bits = name, block, bits
        self.limits = (-math.inf, math.inf)
        self.active, self.watching = False, False
        self.step = Step(1)
        self.register_buffer("zero_point", torch.zeros(1))
        self.seen: list[torch.Tensor] = []

    def fit(self) -> None:
        """Sets step and zero point for the present bits from the values watched."""
        sample = torch.cat(self.seen)
        scale, zero = activation_range(sample, self.bits)
        self.step.set(torch.tensor([scale], device=self.zero_point.device))
        self.zero_point = torch.full_like(self.zero_point, float(zero))
        self.active = True

    def codes(self, x: Float[torch.Tensor, "*shape"]) -> Int[torch.Tensor, "*shape"]:
        """Integer codes, 0 .. 2**bits - 1, of the values that `forward` gives for `x`."""
        return (torch.round(self(x) / self.step()) + self.zero_point).to(torch.int64)

    def forward(self, x: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        """`(code - zero point) * step` where active, else `x`, cut to `limits`."""
        if self.watching:
            flat = torch.clamp(x.detach(), *self.limits).flatten()
            # An odd stride visits every channel and place alike.
            stride = max(1, flat.numel() // _SAMPLE) | 1
            self.seen.append(torch.cat([flat[::stride], flat.amin()[None], flat.amax()[None]]).float().cpu())
        top = 2**self.bits - 1
        if self.active and x.device.type == "cpu":
            zero = int(self.zero_point)
            codes = Codes(first=-zero, last=top - zero, low=self.limits[0], high=self.limits[1])
            return applied(RoundActivations, x, self.step.theta, self.step.base, codes)
        if self.limits != (-math.inf, math.inf):
            x = torch.clamp(x, *self.limits)
        if not self.active:
            return x
        # Elsewhere the fused operator, which needs no number on the host.
        fused: torch.Tensor = torch._fake_quantize_learnable_per_tensor_affine(
            x, self.step(), self.zero_point, 0, top, 1.0
        )
        return fused


@final
class QuantizedLayer(nn.Module):
    """A convolution or linear layer with integer weights times a step per output channel, and an integer bias.

    The bias has the step `input step * weight step` of its channel, so that the whole layer is integer arithmetic
    followed by one multiplication per channel.

    Attributes:
        name: name of the operation in the captured graph.
        block: the block it belongs to, "" for the fixed part.
        bits: weight bits, 2..8.
        macs: multiplications per image.
        active: quantize; otherwise the float layer.
        kept: of a refined layer the mean and standard deviation of each output channel; calibration leaves its codes,
            and fits steps and bias to these. None for a layer that calibration fits as a whole.
    """

    def __init__(
        self,
        *,
        name: str,
        block: str,
        bits: int,
        operation: object,
        arguments: tuple[object, ...],
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        macs: int,
    ) -> None:
        super().__init__()
        self.name, self.block, self.bits, self.macs = name, block, bits, macs
        self.operation, self.arguments = operation, arguments
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.step = Step(weight.shape[0])
        self.active = False
        self.kept: tuple[torch.Tensor, torch.Tensor] | None = None
        self.corrected = torch.zeros(weight.shape[0])
        self.geometry = geometry_of(operation, arguments)
        # In a list, so that the producer's quantizer is not registered here a second time.
        self.source: list[ActivationQuantizer] = []

    def fit(self, importance: Float[torch.Tensor, "out inputs"] | None = None) -> None:
        """Sets the steps for the present bits by least squared error, see `weight_scales`."""
        self.step.set(weight_scales(self.weight, self.bits, importance))
        self.active = True

    def keep(self, step: Float[torch.Tensor, " out"], kept: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Takes `step` for the present weights, and what their outputs' means and deviations should be."""
        self.step.set(step)
        self.active, self.kept = True, kept
        self.corrected = torch.zeros_like(self.corrected)

    @torch.no_grad()
    def rescale(self, share: Float[torch.Tensor, " out"], shift: Float[torch.Tensor, " out"]) -> None:
        """Multiplies each output channel by its share (> 0) and adds a shift; the codes of the weights stay."""
        self.weight.mul_(share.view((-1,) + (1,) * (self.weight.ndim - 1)))
        self.step.set(self.step() * share)
        if self.bias is not None:
            self.bias.mul_(share).add_(shift)

    @torch.no_grad()
    def correct(self, shift: Float[torch.Tensor, " out"] | None) -> None:
        """Adds `shift` to the bias; None takes back what was added before."""
        if self.bias is None:
            return
        if shift is None:
            self.bias.sub_(self.corrected)
            self.corrected = torch.zeros_like(self.bias)
        else:
            self.bias.add_(shift)
            self.corrected = self.corrected + shift

    def fit_bias(self) -> None:
        """Widens the steps of channels whose weights are so small beside their bias that it would not fit 32 bits."""
        if self.bias is not None and self.source:
            least = self.bias.detach().abs() / (self.source[0].step().detach() * 2.0**30)
            self.step.set(torch.maximum(self.step().detach(), least))

    def quantized_weight(self) -> torch.Tensor:
        """Weights as integers times steps, same shape as `weight`."""
        first, last = weight_range(self.bits)
        codes = Codes(first=first, last=last)
        return applied(RoundWeights, self.weight, self.step.theta, self.step.base, codes)

    def bias_step(self) -> Float[torch.Tensor, " out"]:
        """(out,) the bias's step: input step times weight steps."""
        with torch.no_grad():
            step: torch.Tensor = self.source[0].step() * self.step()
            return step

    def quantized_bias(self) -> torch.Tensor | None:
        """Bias as 32-bit integers times `bias_step`; gradients pass straight through."""
        if self.bias is None:
            return None
        return applied(RoundBias, self.bias, self.bias_step())

    def weight_codes(self) -> Int[torch.Tensor, "out ..."]:
        """Integer codes of the weights, int64."""
        with torch.no_grad():
            shape = (-1,) + (1,) * (self.weight.ndim - 1)
            return torch.round(self.quantized_weight() / self.step().view(shape)).to(torch.int64)

    def bias_codes(self) -> Int[torch.Tensor, " out"] | None:
        """Integer codes of the bias, int64 within 32 bits; None without a bias."""
        if self.bias is None:
            return None
        with torch.no_grad():
            codes: torch.Tensor = torch.clamp(torch.round(self.bias / self.bias_step()), -INT32, INT32)
            return codes.to(torch.int64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output, float32."""
        weight: torch.Tensor = self.weight
        bias: torch.Tensor | None = self.bias
        if self.active:
            weight = self.quantized_weight()
            bias = self.quantized_bias() if self.source and self.source[0].active else self.bias
        if self.geometry is not None:
            return convolve(x, weight, bias, self.geometry)
        output: torch.Tensor = self.operation(x, weight, bias, *self.arguments)  # type: ignore[operator]  # an operation of ATen, which torch calls an object
        return output
