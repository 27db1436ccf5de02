"""Quantizers of activations: integers times a scale that learns, and a zero point."""

import math
from collections.abc import Mapping
from typing import final

import torch
from jaxtyping import Float, Int
from torch import nn

from evo_qnas.networks.quantization.scales import Scale
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME, SCHEMES, Scheme

# Values that calibration keeps of an activation and batch: 64 for each of the 1,024 bins that count them. Chosen, not
# measured.
_SAMPLE = 65_536


@final
class ActivationQuantizer(nn.Module):
    """A tensor rounded to `bits` unsigned bits with one scale and zero point.

    Attributes:
        name: name of the operation whose output this is.
        block: the block it belongs to, "" for the fixed part.
        bits: 2..8.
        scheme: how values become codes.
        limits: what a ReLU or ReLU6 before it cuts to; cutting twice changes nothing.
        active: quantize; otherwise values pass through.
        watching: keep a sample of the values for calibration.
    """

    zero_point: torch.Tensor

    def __init__(self, *, name: str, block: str, bits: int, scheme: Scheme | None = None) -> None:
        super().__init__()
        self.name, self.block, self.bits = name, block, bits
        self.scheme = scheme or SCHEMES.get(DEFAULT_SCHEME)
        self.limits = (-math.inf, math.inf)
        self.active, self.watching = False, False
        self.scale = Scale((1,), self.scheme)
        self.register_buffer("zero_point", torch.zeros(1))
        self.observed: list[torch.Tensor] = []

    @property
    def code_range(self) -> tuple[int, int]:
        """Smallest and largest code for the present bits."""
        return self.scheme.activation_range(self.bits)

    def fit(self) -> None:
        """Sets scale and zero point for the present bits from the values watched."""
        scale, zero = self.scheme.fit_activations(torch.cat(self.observed), self.bits)
        self.scale.set(torch.tensor([scale], device=self.zero_point.device))
        self.zero_point = torch.full_like(self.zero_point, float(zero))
        self.active = True

    def codes(self, x: Float[torch.Tensor, "*shape"]) -> Int[torch.Tensor, "*shape"]:
        """Integer codes, within `code_range`, of the values that `forward` gives for `x`."""
        return (torch.round(self(x) / self.scale()) + self.zero_point).to(torch.int64)

    def stored(self) -> dict[str, torch.Tensor]:
        """Scale and zero point by the names of stored tensors."""
        zero_point = self.zero_point.to(torch.uint8)
        return {f"{self.name}.scale": self.scale().detach(), f"{self.name}.zero_point": zero_point}

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what `stored` gave."""
        self.scale.set(tensors[f"{self.name}.scale"])
        self.zero_point = tensors[f"{self.name}.zero_point"].to(torch.float32)
        self.active = True

    def forward(self, x: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        """`(code - zero point) * scale` where active, else `x`, cut to `limits`."""
        if self.watching:
            self._watch(x)
        if self.active:
            return self.scheme.round_activations(
                x, self.scale.theta, self.scale(), self.zero_point, bits=self.bits, limits=self.limits
            )
        return x if self.limits == (-math.inf, math.inf) else torch.clamp(x, *self.limits)

    def _watch(self, x: torch.Tensor) -> None:
        """Keeps a sample of a batch's values, its ends among them."""
        flat = torch.clamp(x.detach(), *self.limits).flatten()
        # An odd stride visits every channel and place alike.
        stride = max(1, flat.numel() // _SAMPLE) | 1
        self.observed.append(torch.cat([flat[::stride], flat.amin()[None], flat.amax()[None]]).float().cpu())
