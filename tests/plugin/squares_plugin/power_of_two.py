"""Quantization schemes: scales that are powers of two, so that a device shifts bits instead of multiplying."""

import math
from math import prod
from typing import final

import torch

from evo_qnas.networks.acceleration.autograd import applied
from evo_qnas.networks.quantization.fake_quantize import CodeRange, RoundWeights, round_affine
from evo_qnas.networks.quantization.fitting import affine_range
from evo_qnas.networks.quantization.packing import packed_bytes
from evo_qnas.networks.quantization.scheme import Scheme, WeightGrid


def power_of_two(scale: torch.Tensor) -> torch.Tensor:
    """The next power of two, with the gradient of the scale itself."""
    rounded = torch.exp2(torch.ceil(torch.log2(scale.detach())))
    return scale * (rounded / scale.detach())


class PowerOfTwo(Scheme):
    """One symmetric scale for all weights of a layer, affine activations; scales are powers of two: shifts of bits."""

    about = "one power of two as scale of all weights of a layer"

    @property
    def has_weight_zero_points(self) -> bool:
        return False

    def weight_range(self, bits: int) -> tuple[int, int]:
        return 1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1

    def activation_range(self, bits: int) -> tuple[int, int]:
        return 0, 2**bits - 1

    def scale_shape(self, outputs: int) -> tuple[int, ...]:
        return ()

    def fit_weights(self, weight: torch.Tensor, bits: int, importance: torch.Tensor | None) -> WeightGrid:
        cover = weight.detach().abs().max() / self.weight_range(bits)[1]
        return WeightGrid(scale=power_of_two(cover), zero_point=torch.zeros((), dtype=torch.int64))

    def fit_activations(self, sample: torch.Tensor, bits: int) -> tuple[float, int]:
        scale, zero = affine_range(sample, bits)
        wide = 2.0 ** math.ceil(math.log2(scale))
        return wide, round(zero * scale / wide)

    def learned_scale(self, base: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
        return power_of_two(base * torch.exp(theta))

    def widened_scale(self, scale: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
        return power_of_two(torch.maximum(scale, least.max()))

    def round_weights(self, weight: torch.Tensor, theta: torch.Tensor, grid: WeightGrid, bits: int) -> torch.Tensor:
        first, last = self.weight_range(bits)
        return applied(RoundWeights, weight, theta, grid.scale, CodeRange(first=first, last=last))

    def round_activations(
        self,
        x: torch.Tensor,
        theta: torch.Tensor,
        scale: torch.Tensor,
        zero_point: torch.Tensor,
        *,
        bits: int,
        limits: tuple[float, float],
    ) -> torch.Tensor:
        return round_affine(x, theta, scale, zero_point, code_range=self.activation_range(bits), limits=limits)

    def bias_scale(self, input_scale: torch.Tensor, weight_scale: torch.Tensor) -> torch.Tensor:
        return input_scale * weight_scale

    def layer_bytes(self, shape: tuple[int, ...], bits: int, *, bias: bool) -> int:
        return packed_bytes(prod(shape), bits) + 4 + 4 * bias * shape[0]

    def activation_bytes(self) -> int:
        return 5


@final
class AffineWeights(PowerOfTwo):
    """The same with a zero point for the weights of a layer, so that codes cover them from the least to the largest."""

    @property
    def has_weight_zero_points(self) -> bool:
        return True

    def weight_range(self, bits: int) -> tuple[int, int]:
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def fit_weights(self, weight: torch.Tensor, bits: int, importance: torch.Tensor | None) -> WeightGrid:
        first, last = self.weight_range(bits)
        low, high = weight.detach().min().clamp(max=0.0), weight.detach().max().clamp(min=0.0)
        scale = power_of_two((high - low) / (last - first))
        return WeightGrid(scale=scale, zero_point=(first - torch.round(low / scale)).clamp(first, last).long())

    def round_weights(self, weight: torch.Tensor, theta: torch.Tensor, grid: WeightGrid, bits: int) -> torch.Tensor:
        first, last = self.weight_range(bits)
        zero = int(grid.zero_point)
        return applied(RoundWeights, weight, theta, grid.scale, CodeRange(first=first - zero, last=last - zero))

    def layer_bytes(self, shape: tuple[int, ...], bits: int, *, bias: bool) -> int:
        return super().layer_bytes(shape, bits, bias=bias) + 1
