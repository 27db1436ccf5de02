"""Scales that learn."""

from typing import final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.networks.quantization.scheme import Scheme


@final
class Scale(nn.Module):
    """A positive scale per channel or tensor that starts at `base` and learns by the logarithm `theta`, 0 at the start.

    The scheme says how the two become the scale, see `Scheme.learned_scale`.
    """

    base: torch.Tensor

    def __init__(self, shape: tuple[int, ...], scheme: Scheme) -> None:
        super().__init__()
        self.scheme = scheme
        self.register_buffer("base", torch.ones(shape))
        self.theta = nn.Parameter(torch.zeros(shape))

    def set(self, scale: Float[torch.Tensor, "*channels"]) -> None:
        """Starts again from `scale`; from then on `self()` is exactly `scale` until it learns."""
        self.base = scale.detach().to(self.base).clone()
        self.theta.data.zero_()

    def forward(self) -> Float[torch.Tensor, "*channels"]:
        """The scales, float32."""
        return self.scheme.learned_scale(self.base, self.theta)
