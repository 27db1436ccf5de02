"""Quantization schemes: how numbers become integer codes, and what the codes cost.

A scheme decides on everything about codes: their range, the granularity of scales, zero points, rounding, how scales
are fitted and learned, and bytes. Quantizers, packing, costs, the integer reference and exporters ask it.

What every scheme shares is what integer hardware computes: convolutions and products of centred codes in integers, a
bias of 32-bit integers, then one multiplication per output channel. Scales therefore belong to a whole output channel
or to the whole tensor of weights, and to the whole tensor of activations.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int

from evo_qnas.errors import NetworkError
from evo_qnas.registry import Registry

DEFAULT_SCHEME = "per_channel"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WeightGrid:
    """The values that the weights of a layer may take: `(code - zero_point) * scale`.

    Attributes:
        scale: `Scheme.scale_shape`, float32, positive.
        zero_point: the same shape, int64, codes; all zero in symmetric schemes.
    """

    scale: Float[torch.Tensor, "*channels"]
    zero_point: Int[torch.Tensor, "*channels"]


class Scheme(ABC):
    """A way to turn weights and activations into integer codes; entry of the registry `SCHEMES`.

    A scheme has no state: layers and quantizers hold it, copy it and pickle it. `evo_qnas.testing.SchemeContract` tests
    what is written here.

    Two's complement of `bits` bits holds every weight code, and `bits` bits without sign every activation code, so that
    codes are packed and exported alike whatever the scheme. Zero is always a value that has a code.

    Attributes:
        about: one line for `evo-qnas list schemes`.
    """

    about: str

    @property
    @abstractmethod
    def has_weight_zero_points(self) -> bool:
        """True where weights have zero points other than 0, which are then stored beside their scales."""

    @abstractmethod
    def weight_range(self, bits: int) -> tuple[int, int]:
        """Smallest and largest code of a weight of `bits` bits, within two's complement."""

    @abstractmethod
    def activation_range(self, bits: int) -> tuple[int, int]:
        """Smallest and largest code of an activation of `bits` bits, within 0 .. 2**bits - 1."""

    @abstractmethod
    def scale_shape(self, outputs: int) -> tuple[int, ...]:
        """Granularity of weights: `(outputs,)` for a scale per output channel, `()` for one scale."""

    @abstractmethod
    def fit_weights(
        self, weight: Float[torch.Tensor, "out ..."], bits: int, importance: Float[torch.Tensor, "out inputs"] | None
    ) -> WeightGrid:
        """The grid for the weights of a layer.

        Args:
            weight: float32.
            bits: 2..8.
            importance: what the squared error of each output's input channels counts, the same for all where None.
        """

    @abstractmethod
    def fit_activations(self, sample: Float[torch.Tensor, " n"], bits: int) -> tuple[float, int]:
        """Scale and zero point for a sample of an activation's values."""

    @abstractmethod
    def learned_scale(
        self, base: Float[torch.Tensor, "*channels"], theta: Float[torch.Tensor, "*channels"]
    ) -> Float[torch.Tensor, "*channels"]:
        """Scale that starts at `base` and moves with the learned logarithm `theta`; `base` itself where `theta` is 0.

        Differentiable with respect to `theta`.
        """

    @abstractmethod
    def widened_scale(
        self, scale: Float[torch.Tensor, "*channels"], least: Float[torch.Tensor, " out"]
    ) -> Float[torch.Tensor, "*channels"]:
        """`scale`, or the next larger one that the scheme allows, where it is below `least` of its output channels."""

    @abstractmethod
    def round_weights(
        self,
        weight: Float[torch.Tensor, "out *shape"],
        theta: Float[torch.Tensor, "*channels"],
        grid: WeightGrid,
        bits: int,
    ) -> Float[torch.Tensor, "out *shape"]:
        """The weights on their grid, of the same shape, with gradients of `weight` and of `theta`."""

    @abstractmethod
    def round_activations(
        self,
        x: Float[torch.Tensor, "*shape"],
        theta: Float[torch.Tensor, "1"],
        scale: Float[torch.Tensor, "1"],
        zero_point: Float[torch.Tensor, "1"],
        *,
        bits: int,
        limits: tuple[float, float],
    ) -> Float[torch.Tensor, "*shape"]:
        """Values cut to `limits` and rounded half to even to codes times `scale`, with gradients of `x` and `theta`.

        The scale is `learned_scale` of `theta`, and differentiable.
        """

    @abstractmethod
    def bias_scale(
        self, input_scale: Float[torch.Tensor, "1"], weight_scale: Float[torch.Tensor, "*channels"]
    ) -> Float[torch.Tensor, "*outputs"]:
        """Scale of the 32-bit integers of a bias: that of the sums to which it is added, (out,) or (1,)."""

    @abstractmethod
    def layer_bytes(self, shape: tuple[int, ...], bits: int, *, bias: bool) -> int:
        """Stored bytes of a layer whose weights have `shape`, outputs first: codes, scales, zero points and bias."""

    @abstractmethod
    def activation_bytes(self) -> int:
        """Stored bytes of what an activation quantizer needs."""


SCHEMES: Registry[Scheme] = Registry(
    "scheme",
    "evo_qnas.schemes",
    Scheme,
    {DEFAULT_SCHEME: "evo_qnas.networks.quantization.per_channel:PerChannel"},
    error=NetworkError,
)
