"""The scheme of integer runtimes: symmetric weights with a scale per output channel, affine activations."""

from math import prod
from typing import final

import torch
from jaxtyping import Float

from evo_qnas.networks.acceleration.autograd import applied
from evo_qnas.networks.quantization.fake_quantize import CodeRange, RoundWeights, round_affine
from evo_qnas.networks.quantization.fitting import affine_range, weight_range, weight_scales
from evo_qnas.networks.quantization.packing import packed_bytes
from evo_qnas.networks.quantization.scheme import Scheme, WeightGrid

# Bytes of a float32 scale, an int32 bias and an 8-bit zero point.
SCALE_BYTES, BIAS_BYTES, ZERO_POINT_BYTES = 4, 4, 1


@final
class PerChannel(Scheme):
    """Symmetric weights with a least-squares scale per output channel, affine activations per tensor, int32 biases.

    Scales learn by their logarithm (LSQ); a layer costs its packed codes, a float32 scale and an int32 bias per output,
    an activation a float32 scale and one byte of zero point.

    Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference, section 2; Krishnamoorthi 2018, section 3.1.3, for scales per channel; Esser et al. 2020, LSQ.
    """

    __slots__ = ()

    about = "symmetric weights with a scale per output channel, affine activations; the default"

    @property
    def has_weight_zero_points(self) -> bool:
        """False."""
        return False

    def weight_range(self, bits: int) -> tuple[int, int]:
        """Smallest and largest code of a weight, for example (-8, 7) at 4 bits."""
        return weight_range(bits)

    def activation_range(self, bits: int) -> tuple[int, int]:
        """Smallest and largest code of an activation, for example (0, 15) at 4 bits."""
        return 0, 2**bits - 1

    def scale_shape(self, outputs: int) -> tuple[int, ...]:
        """`(outputs,)`."""
        return (outputs,)

    def fit_weights(
        self, weight: Float[torch.Tensor, "out ..."], bits: int, importance: Float[torch.Tensor, "out inputs"] | None
    ) -> WeightGrid:
        """Scales of least squared error, see `weight_scales`."""
        scale = weight_scales(weight, bits, importance)
        return WeightGrid(scale=scale, zero_point=torch.zeros(len(scale), dtype=torch.int64, device=scale.device))

    def fit_activations(self, sample: Float[torch.Tensor, " n"], bits: int) -> tuple[float, int]:
        """Scale and zero point of least squared error, see `affine_range`."""
        return affine_range(sample, bits)

    def learned_scale(
        self, base: Float[torch.Tensor, "*channels"], theta: Float[torch.Tensor, "*channels"]
    ) -> Float[torch.Tensor, "*channels"]:
        """`base * exp(theta)`."""
        return base * torch.exp(theta)

    def widened_scale(
        self, scale: Float[torch.Tensor, "*channels"], least: Float[torch.Tensor, " out"]
    ) -> Float[torch.Tensor, "*channels"]:
        """The larger of the two in each channel."""
        return torch.maximum(scale, least)

    def round_weights(
        self,
        weight: Float[torch.Tensor, "out *shape"],
        theta: Float[torch.Tensor, "*channels"],
        grid: WeightGrid,
        bits: int,
    ) -> Float[torch.Tensor, "out *shape"]:
        """Rounded half to even, see `RoundWeights`."""
        first, last = weight_range(bits)
        return applied(RoundWeights, weight, theta, grid.scale, CodeRange(first=first, last=last))

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
        """Rounded half to even, see `round_affine`."""
        return round_affine(x, theta, scale, zero_point, code_range=self.activation_range(bits), limits=limits)

    def bias_scale(
        self, input_scale: Float[torch.Tensor, "1"], weight_scale: Float[torch.Tensor, "*channels"]
    ) -> Float[torch.Tensor, "*outputs"]:
        """Input scale times weight scales."""
        return input_scale * weight_scale

    def layer_bytes(self, shape: tuple[int, ...], bits: int, *, bias: bool) -> int:
        """Packed codes, and a scale and bias per output."""
        return packed_bytes(prod(shape), bits) + (SCALE_BYTES + BIAS_BYTES * bias) * shape[0]

    def activation_bytes(self) -> int:
        """A scale and a zero point."""
        return SCALE_BYTES + ZERO_POINT_BYTES
